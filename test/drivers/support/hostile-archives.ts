import { createHash } from 'node:crypto';
import { Encoder } from '@toondepauw/node-zstd';
import { type ForgedEntry, type Forgery, forge, forgeTar, pack, root } from './forged-archive.ts';

/** Archives that must be refused, by what is wrong with them, with what the refusal has to name. */
export const hostileArchives = async (): Promise<
  readonly (readonly [wrong: string, archive: Buffer, named: RegExp])[]
> => {
  const good = await forge();
  const forged = async (wrong: string, named: RegExp, forgery: Forgery) =>
    [wrong, await forge(forgery), named] as const;
  const withEntries = (wrong: string, named: RegExp, ...entries: readonly ForgedEntry[]) =>
    forged(wrong, named, { entries: [root, ...entries] });
  const typed = (type: string): ForgedEntry => ({
    path: 'disk/odd',
    tamper: (block) => void block.write(type, 156),
  });
  const flipped = forgeTar({});
  flipped.write('jello', flipped.indexOf('hello'));
  const damaged = Buffer.from(good);
  damaged.fill(0xff, 20, 30);
  return [
    ['nothing at all', Buffer.alloc(0), /ends too early/],
    ['wrong magic', Buffer.from('PK\x03\x04 something else altogether'), /zstd/],
    ['a plain tar', forgeTar({}), /zstd/],
    ['a skippable frame', Buffer.concat([Buffer.from('502a4d1804000000deadbeef', 'hex'), good]), /zstd/],
    ['cut off in a frame', good.subarray(0, -20), /ends too early/],
    ['cut off between entries', await pack(forgeTar({}).subarray(0, 2048)), /ends too early/],
    ['without its end', await pack(forgeTar({}).subarray(0, -512)), /ends too early/],
    ['a changed byte of content', await pack(flipped), /disk\/file.*checksum/],
    ['damage in a frame', damaged, /damaged|ends too early|holds more/],
    ['bytes after its end', await forge({ tail: Buffer.alloc(512, 1) }), /something comes after/],
    ['more zeros after its end', await forge({ tail: Buffer.alloc(512) }), /something comes after/],
    ['another archive after it', Buffer.concat([good, good]), /something comes after/],
    ['a frame of many blocks', bombFrame(), /holds more than/],
    ['one frame of 3 MiB', await new Encoder(3).encode(Buffer.alloc(3 << 20)), /holds more than/],
    ['a window of 64 MiB', Buffer.from('28b52ffd0080010000', 'hex'), /holds more than/],
    await forged('a later version', /manifest\.json.*format version 2/, { manifest: { formatVersion: 2 } }),
    await forged('no version', /manifest\.json.*format version/, { manifest: { formatVersion: undefined } }),
    await forged('an unknown field', /manifest\.json/, { manifest: { hello: 1 } }),
    await forged('a time that is none', /manifest\.json.*createdAt/, { manifest: { createdAt: 'now' } }),
    await forged('more declared than is there', /SHA256SUMS.*2 entries and 5 bytes/, {
      manifest: { disk: { entries: 3, bytes: 9, skipped: { sockets: 0, devices: 0 } } },
    }),
    await forged('fewer bytes declared', /disk\/file.*beyond/, {
      manifest: { disk: { entries: 2, bytes: 4, skipped: { sockets: 0, devices: 0 } } },
    }),
    await forged('fewer entries declared', /disk\/file.*beyond/, {
      manifest: { disk: { entries: 1, bytes: 5, skipped: { sockets: 0, devices: 0 } } },
    }),
    await forged('too many entries declared', /1000001 entries/, {
      manifest: { disk: { entries: 1_000_001, bytes: 5, skipped: { sockets: 0, devices: 0 } } },
    }),
    await forged('too many bytes declared', /bytes are more than/, {
      manifest: { disk: { entries: 2, bytes: 2 ** 50, skipped: { sockets: 0, devices: 0 } } },
    }),
    ['no manifest', await pack(forgeTar({}).subarray(1024)), /begins with manifest\.json/],
    await forged('no checksums', /SHA256SUMS.*ends without/, { checksums: null }),
    await forged('an empty list of checksums', /SHA256SUMS.*2 files have no checksum/, { checksums: '' }),
    await forged('an empty line for a checksum', /SHA256SUMS.*line 1/, { checksums: '\n' }),
    ['a checksum too many', await ghost(), /disk\/ghost.*not there/],
    await withEntries('an empty checksum', /SHA256SUMS.*line 2/, file('disk/file', { checksum: '' })),
    await withEntries(
      'a missing checksum',
      /1 files have no checksum/,
      file('disk/file', { checksum: null }),
    ),
    await withEntries(
      'a wrong checksum',
      /disk\/file.*checksum/,
      file('disk/file', { checksum: 'a'.repeat(64) }),
    ),
    await withEntries('an upper-case checksum', /line 2/, file('disk/file', { checksum: 'A'.repeat(64) })),
    await withEntries('a file twice', /disk\/a.*twice/, file('disk/a'), file('disk/a')),
    await withEntries(
      'a file twice, apart',
      /disk\/a.*order/,
      file('disk/a'),
      file('disk/b'),
      file('disk/a'),
    ),
    await withEntries('a directory twice', /disk\/a.*twice/, dir('disk/a'), dir('disk/a')),
    await withEntries('the disk twice', /disk.*twice/, root),
    await forged('no disk', /disk\/file.*before disk/, { entries: [file('disk/file')] }),
    await withEntries('a path that goes up', /\.\..*goes up/, file('disk/../escaped')),
    await withEntries('a path that ends up', /goes up/, dir('disk/..')),
    await withEntries('an absolute path', /\/etc\/escaped.*absolute/, file('/etc/escaped')),
    await withEntries('a path beside the disk', /etc.*not in a directory/, file('etc')),
    await withEntries('an empty part of a path', /without a name/, file('disk//a')),
    await withEntries('a dot in a path', /without a name/, file('disk/./a')),
    await withEntries('a name with NUL', /NUL/, file(`disk/a\0b${'é'.repeat(60)}`)),
    await withEntries('a name too long', /too long/, file(`disk/${'a'.repeat(256)}`)),
    await withEntries('a directory that is not there', /not in a directory/, file('disk/a/b')),
    await withEntries('a path through a file', /not in a directory/, file('disk/a'), file('disk/a/b')),
    await withEntries(
      'a path through a link',
      /disk\/out\/escaped/,
      link('disk/out', 'symlink', '/tmp'),
      file('disk/out/escaped'),
    ),
    await withEntries(
      'a link over a directory',
      /twice/,
      dir('disk/a'),
      link('disk/a', 'symlink', '/tmp'),
      file('disk/a/b'),
    ),
    await withEntries('a symlink to nowhere', /leads nowhere/, link('disk/a', 'symlink', '')),
    await withEntries('a hard link out', /\/etc\/passwd.*absolute/, link('disk/a', 'link', '/etc/passwd')),
    await withEntries('a hard link up', /goes up/, link('disk/a', 'link', 'disk/../../../etc/passwd')),
    await withEntries(
      'a hard link beside the disk',
      /not below disk/,
      link('disk/a', 'link', 'manifest.json'),
    ),
    await withEntries('a hard link to what is not there', /no file/, link('disk/a', 'link', 'disk/b')),
    await withEntries(
      'a hard link to a directory',
      /no file/,
      dir('disk/a'),
      link('disk/b', 'link', 'disk/a'),
    ),
    await withEntries(
      'a hard link through a symlink',
      /disk\/b.*no file/,
      link('disk/a', 'symlink', '/etc'),
      link('disk/b', 'link', 'disk/a/passwd'),
    ),
    await withEntries(
      'a hard link to a symlink',
      /no file/,
      link('disk/a', 'symlink', '/etc/passwd'),
      link('disk/b', 'link', 'disk/a'),
    ),
    await withEntries('a character device', /disk\/odd.*type "3"/, typed('3')),
    await withEntries('a block device', /disk\/odd.*type "4"/, typed('4')),
    await withEntries('a GNU long name', /type "L"/, typed('L')),
    await withEntries('a global header', /type "g"/, typed('g')),
    await withEntries('a damaged header', /damaged/, {
      path: 'disk/odd',
      tamper: (block) => void block.write('gnutar', 257),
    }),
    await withEntries('a time that is no number', /disk\/odd/, { path: 'disk/odd', mtimeMs: Number.NaN }),
  ];
};

const file = (path: string, more: Partial<ForgedEntry> = {}): ForgedEntry => ({
  path,
  content: 'x',
  ...more,
});
const dir = (path: string): ForgedEntry => ({ path, kind: 'directory' });
const link = (path: string, kind: 'symlink' | 'link', target: string): ForgedEntry => ({
  path,
  kind,
  target,
});

/** A list that goes on after the last file. */
const ghost = (): Promise<Buffer> => {
  const tar = forgeTar({ entries: [root] });
  const manifest = tar.subarray(512, 512 + Number.parseInt(tar.toString('latin1', 124, 135), 8));
  const line = `${createHash('sha256').update(manifest).digest('hex')}  manifest.json\n`;
  return forge({ entries: [root], checksums: `${line}${'0'.repeat(64)}  disk/ghost\n` });
};

/** 200 blocks of one repeated byte, 128 KiB each: 25 MiB of some 800 bytes. */
const bombFrame = (): Buffer => {
  const header = Buffer.from('28b52ffd0058', 'hex');
  const blocks = Array.from({ length: 200 }, (_, index) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((131_072 << 3) | (1 << 1) | (index === 199 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([header, ...blocks]);
};
