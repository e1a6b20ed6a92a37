import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asksForDirectory } from '../../src/tar/asks-for-directory.ts';
import { asCopied, within } from '../../src/tar/destination.ts';
import { pack } from '../../src/tar/pack.ts';
import { type UnpackOptions, unpack } from '../../src/tar/unpack.ts';
import { archiveOf, pieces, type TestEntry } from '../support/archive.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'boxledger-archive-'));
});
afterEach(() => rm(home, { recursive: true }));

const plain: UnpackOptions = { overwrite: true, recursive: true, keepOwners: false };
const put = (entries: readonly TestEntry[], options: Partial<UnpackOptions> = {}) =>
  putBytes(archiveOf(...entries), options);
const putBytes = async (archive: Uint8Array, options: Partial<UnpackOptions> = {}) =>
  unpack(pieces(archive), await within(join(home, 'to')), { ...plain, ...options });
const copyAs = async (path: string, entries: readonly TestEntry[], options: Partial<UnpackOptions> = {}) =>
  unpack(pieces(archiveOf(...entries)), await asCopied(join(home, path), asksForDirectory(path)), {
    ...plain,
    ...options,
  });

/** Everything in the home, each with what it is. */
const tree = () =>
  execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P%y\n'], { cwd: home, encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (line.endsWith('d') ? `${line.slice(0, -1)}/` : line.slice(0, -1)))
    .sort();

const code = (expected: string) => expect.objectContaining({ code: expected });
const file: TestEntry = { path: 'f', content: 'x' };
const dir: TestEntry[] = [
  { path: 'd/', type: 'Directory' },
  { path: 'd/f', content: 'x' },
];
const content: TestEntry[] = [
  { path: './', type: 'Directory' },
  { path: './f', content: 'x' },
];

describe('a copy goes where `cp -r` would put it', () => {
  test.each([
    ['a file, into a directory that is there', 'there', [file], ['there/', 'there/f']],
    ['a file, to a new name', 'new', [file], ['new', 'there/']],
    ['a directory, into one that is there', 'there', dir, ['there/', 'there/d/', 'there/d/f']],
    ['a directory, to a new name', 'new', dir, ['new/', 'new/f', 'there/']],
    ['a directory, to a new name with a slash', 'new/', dir, ['new/', 'new/f', 'there/']],
    ['what is in a directory, into one that is there', 'there', content, ['there/', 'there/f']],
    ['what is in a directory, to a new name', 'new', content, ['new/', 'new/f', 'there/']],
  ])('%s', async (_case, path, entries, expected) => {
    await mkdir(join(home, 'there'));
    await copyAs(path, entries);
    expect(tree()).toEqual(expected);
  });

  test('a file, over another or what a link leads into', async () => {
    await writeFile(join(home, 'old'), 'old');
    await mkdir(join(home, 'there'));
    await symlink('there', join(home, 'link'));
    await copyAs('old', [file]);
    await copyAs('link', [file]);
    expect(await readFile(join(home, 'old'), 'utf8')).toBe('x');
    expect(tree()).toEqual(['link', 'old', 'there/', 'there/f']);
  });

  test.each([
    ['a file, to a new name with a slash', 'new/', [file], 'NotFound'],
    ['anything, where the directory above is missing', 'none/new', [file], 'NotFound'],
    ['a directory, over a file', 'old', dir, 'AlreadyExists'],
    ['what is in a directory, over a file', 'old', content, 'AlreadyExists'],
    ['an archive with two roots', 'new', [file, { path: 'g' }], 'InvalidArgument'],
    ['a link out of the copy, though not out of the directory above', 'new', linkOut('d'), 'InvalidArgument'],
    ['the same, where what is in a directory gets a name', 'new', linkOut('.'), 'InvalidArgument'],
  ])('but not %s', async (_case, path, entries, expected) => {
    await writeFile(join(home, 'old'), 'old');
    await expect(copyAs(path, entries)).rejects.toThrow(code(expected));
    expect(tree()).toEqual(['old']);
  });

  test('and a file over another is refused where nothing may be overwritten', async () => {
    await writeFile(join(home, 'old'), 'old');
    await expect(copyAs('old', [file], { overwrite: false })).rejects.toThrow(code('AlreadyExists'));
    expect(await readFile(join(home, 'old'), 'utf8')).toBe('old');
  });
});

function linkOut(root: string): TestEntry[] {
  return [
    { path: `${root}/`, type: 'Directory' },
    { path: `${root}/l`, type: 'SymbolicLink', linkpath: '../old' },
  ];
}

describe('an archive is refused, and nothing of it is there,', () => {
  test.each([
    ['that holds more entries than it may', [file, { path: 'g' }, { path: 'h' }], { entriesMax: 2 }],
    ['that implies more directories than it may', [{ path: 'a/b/c/d/e' }], { entriesMax: 4 }],
    ['that says it holds more than it may', [{ path: 'f', content: 'x'.repeat(100) }], { bytesMax: 99 }],
    ['whose files are together more than may be', [file, { path: 'g', content: 'xx' }], { bytesMax: 2 }],
  ])('%s', async (_case, entries, options) => {
    await expect(put(entries, options)).rejects.toThrow(code('ResourceExhausted'));
    expect(tree()).toEqual([]);
  });

  test('that says it holds more than there is, without waiting for it', async () => {
    const archive = archiveOf({ path: 'f', content: 'x' });
    archive.write('77777777777\0', 124); // the size, 8 GiB less one byte
    archive.write('        ', 148);
    const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    let read = 0;
    async function* endless() {
      for (let piece: Uint8Array = archive; ; piece = Buffer.alloc(64 * 1024)) {
        read += piece.length;
        yield piece;
      }
    }
    const destination = await within(home);
    await expect(unpack(endless(), destination, { ...plain, bytesMax: 2 ** 30 })).rejects.toThrow(
      code('ResourceExhausted'),
    );
    expect(read).toBeLessThan(4 * 1024 * 1024);
    expect(tree()).toEqual([]);
  });

  test('that ends between two entries', async () => {
    const whole = archiveOf(file, { path: 'g', content: 'x' });
    await expect(putBytes(whole.subarray(0, 1024))).rejects.toThrow(code('InvalidArgument'));
    expect(tree()).toEqual([]);
  });

  test('whose hard link names a symbolic link, which would then lead elsewhere', async () => {
    const entries: TestEntry[] = [
      { path: 'a/b/l', type: 'SymbolicLink', linkpath: '../../f' },
      { path: 'm', type: 'Link', linkpath: 'a/b/l' },
    ];
    await expect(put(entries)).rejects.toThrow(code('InvalidArgument'));
    expect(tree()).toEqual([]);
  });

  test('that has directories, where only files are asked for', async () => {
    for (const entries of [dir, [{ path: 'a/f' }]])
      await expect(put(entries, { recursive: false })).rejects.toThrow(code('InvalidArgument'));
    expect(tree()).toEqual([]);
    await put([file], { recursive: false });
    expect(tree()).toEqual(['to/', 'to/f']);
  });
});

test('nothing has its own name before the archive has ended well', async () => {
  await mkdir(join(home, 'to/old'), { recursive: true });
  const archive = archiveOf(file, { path: 'new/er/g', content: 'x' }, { path: 'old/h', content: 'x' });
  let before: readonly string[] = [];
  async function* watched() {
    yield archive.subarray(0, archive.length - 1024);
    yield archive.subarray(archive.length - 1024, archive.length - 512);
    before = tree().filter((path) => !path.includes('.boxledger-copy-'));
    yield archive.subarray(archive.length - 512);
  }
  await unpack(watched(), await within(join(home, 'to')), plain);
  expect(before).toEqual(['to/', 'to/old/']);
  expect(tree()).toEqual(['to/', 'to/f', 'to/new/', 'to/new/er/', 'to/new/er/g', 'to/old/', 'to/old/h']);
});

test('a hard link to a file of the destination may take the place of another name of it', async () => {
  await put([file, { path: 'g', type: 'Link', linkpath: 'f' }]);
  await put([{ path: 'g', type: 'Link', linkpath: 'f' }]);
  expect(tree()).toEqual(['to/', 'to/f', 'to/g']);
  expect((await stat(join(home, 'to/f'))).nlink).toBe(2);
});

test('zeros become holes, and what is not zero stays in its place', async () => {
  const bytes = Buffer.alloc(8 * 1024 * 1024);
  bytes.write('middle', 5_000_000);
  await put([{ path: 'f', content: bytes }]);
  const path = join(home, 'to/f');
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect((await lstat(path)).blocks * 512).toBeLessThan(1024 * 1024);
});

test('a tree is the same after packing and unpacking: modes, times, links and empty directories', async () => {
  const source = join(home, 'source');
  await mkdir(join(source, 'a/empty'), { recursive: true });
  await writeFile(join(source, 'a/run'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(join(source, 'a/secret'), 'x', { mode: 0o600 });
  await symlink('../a/run', join(source, 'a/up'));
  await symlink('none', join(source, 'dangling'));
  await chmod(join(source, 'a'), 0o555);
  execFileSync('find', ['.', '-exec', 'touch', '-hd', '2020-02-03 04:05:06', '{}', '+'], { cwd: source });
  const options = { followLinks: false, source: 'as-it-is', recursive: true } as const;
  await unpack(
    pack(source, () => 'source', options),
    await asCopied(join(home, 'copy'), false),
    plain,
  );
  const listing = (name: string) =>
    execFileSync('find', ['.', '-printf', '%p %m %y %s %T@ %l\n'], {
      cwd: join(home, name),
      encoding: 'utf8',
    })
      .split('\n')
      .map((line) => line.replace(/ d \d+/, ' d')) // a directory's size is the file system's own affair
      .sort();
  expect(listing('copy')).toEqual(listing('source'));
  await chmod(join(source, 'a'), 0o755);
  await chmod(join(home, 'copy/a'), 0o755);
});

describe('what cannot be packed', () => {
  const options = { followLinks: false, source: 'as-it-is', recursive: true } as const;
  const packing = async (path: string, given: Partial<Parameters<typeof pack>[2]> = {}) => {
    const archive = pack(join(home, path), () => 'x', { ...options, ...given });
    for await (const _piece of archive);
  };

  test('is said: nothing there, a pipe, a directory that was not asked for, a file that was to be one', async () => {
    await writeFile(join(home, 'f'), 'x');
    execFileSync('sh', ['-c', 'mkfifo pipe'], { cwd: home });
    await expect(packing('none')).rejects.toThrow(code('NotFound'));
    await expect(packing('pipe')).rejects.toThrow(code('InvalidArgument'));
    await expect(packing('.', { recursive: false })).rejects.toThrow(code('InvalidArgument'));
    await expect(packing('f', { source: 'directory' })).rejects.toThrow(code('NotFound'));
  });

  test('is a long name with a line break, of which readers would make another', async () => {
    await writeFile(join(home, `${'long '.repeat(30)}\nname`), 'x');
    await expect(packing('.')).rejects.toThrow(code('InvalidArgument'));
    expect(await readdir(home)).toHaveLength(1);
  });
});
