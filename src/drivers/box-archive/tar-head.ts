import { isUtf8 } from 'node:buffer';
import { Header } from 'tar';
import { badArchive } from './bad-archive.ts';

/** The part of tar (POSIX.1-2001, pax) that box archives are written in. */
export const tarBlockBytes = 512;

export type EntryKind = 'directory' | 'file' | 'symlink' | 'link' | 'fifo';

/** One entry without its content. */
export interface EntryHead {
  /** Path in the archive; without the slash that tar puts after a directory. */
  readonly path: string;
  readonly kind: EntryKind;
  /** Permissions with set-id and sticky bits. */
  readonly mode: number;
  readonly mtimeMs: number;
  /** 0 for all but files. */
  readonly sizeBytes: number;
  /** Where a symlink leads, or which entry a link is another name of; empty for all others. */
  readonly target: string;
}

const typeOf = {
  file: 'File',
  link: 'Link',
  symlink: 'SymbolicLink',
  directory: 'Directory',
  fifo: 'FIFO',
} as const satisfies Record<EntryKind, string>;
const kindOf = new Map<string, EntryKind>([
  ['0', 'file'],
  ['1', 'link'],
  ['2', 'symlink'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

export const encodeHead = (head: EntryHead): Buffer => {
  const seconds = Math.floor(head.mtimeMs / 1000);
  const path = head.kind === 'directory' ? `${head.path}/` : head.path;
  const header = new Header({
    path,
    type: typeOf[head.kind],
    mode: head.mode,
    // Who owns a disk's files is for the host to say that it is unpacked on.
    uid: 0,
    gid: 0,
    size: head.sizeBytes,
    mtime: new Date(seconds * 1000),
    linkpath: head.target,
  });
  const block = Buffer.alloc(tarBlockBytes);
  const records =
    header.encode(block) || seconds * 1000 !== head.mtimeMs
      ? [
          record('path', path),
          ...(head.target === '' ? [] : [record('linkpath', head.target)]),
          record('mtime', String(head.mtimeMs / 1000)),
          record('size', String(head.sizeBytes)),
        ]
      : [];
  return records.length === 0 ? block : Buffer.concat([extended(Buffer.concat(records)), block]);
};

export const padding = (sizeBytes: number): Buffer =>
  Buffer.alloc((tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes);

const extended = (body: Buffer): Buffer => {
  const block = Buffer.alloc(tarBlockBytes);
  new Header({ path: 'pax', type: 'ExtendedHeader', mode: 0o600, uid: 0, gid: 0, size: body.length }).encode(
    block,
  );
  return Buffer.concat([block, body, padding(body.length)]);
};

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits too. */
const record = (key: string, value: string): Buffer => {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
};

/** One header block; a null block is undefined. `extended`: bytes of records follow that are about the next entry. */
export const decodeBlock = (
  block: Buffer,
  records: ReadonlyMap<string, string>,
): EntryHead | { readonly kind: 'extended'; readonly sizeBytes: number } | undefined => {
  const header = new Header(block);
  if (header.nullBlock) return undefined;
  const path = records.get('path') ?? header.path ?? '';
  if (!header.cksumValid || block.toString('latin1', 257, 265) !== 'ustar\u000000')
    throw badArchive(path, 'its tar header is damaged');
  const sizeBytes = records.has('size') ? Number(records.get('size')) : (header.size ?? Number.NaN);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw badArchive(path, 'its size is not a number');
  const typeKey = block.toString('latin1', 156, 157);
  if (typeKey === 'x') return { kind: 'extended', sizeBytes };
  const kind = kindOf.get(typeKey);
  if (kind === undefined)
    throw badArchive(path, `an entry of type ${JSON.stringify(typeKey)} has no place in a box archive`);
  if (kind !== 'file' && sizeBytes !== 0) throw badArchive(path, `a ${kind} has no content`);
  const target = records.get('linkpath') ?? header.linkpath ?? '';
  for (const text of [path, target])
    if (!records.has('path') && text.includes('\uFFFD')) throw badArchive(path, 'it is not in UTF-8');
  const mtimeMs = records.has('mtime')
    ? Math.round(Number(records.get('mtime')) * 1000)
    : (header.mtime?.getTime() ?? 0);
  if (!Number.isFinite(mtimeMs) || Math.abs(mtimeMs) > 8.64e15) throw badArchive(path, 'its time is not one');
  return {
    path: kind === 'directory' ? path.replace(/\/$/, '') : path,
    kind,
    mode: (header.mode ?? 0) & 0o7777,
    mtimeMs,
    sizeBytes,
    target,
  };
};

const recordKeys = ['path', 'linkpath', 'mtime', 'size'];

export const parseRecords = (body: Buffer): ReadonlyMap<string, string> => {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(' ', at);
    const length = /^[1-9][0-9]{0,5}$/.test(body.toString('latin1', at, space))
      ? Number(body.toString('latin1', at, space))
      : 0;
    const line = body.subarray(space + 1, at + length);
    const equals = line.indexOf('=');
    const key = line.toString('latin1', 0, equals);
    if (space < 0 || at + length > body.length || equals < 1 || line.at(-1) !== 0x0a || records.has(key))
      throw badArchive('pax', 'an extended header is damaged');
    if (!recordKeys.includes(key))
      throw badArchive('pax', `${JSON.stringify(key)} has no place in a box archive`);
    const value = line.subarray(equals + 1, -1);
    if (!isUtf8(value)) throw badArchive(value.toString(), 'it is not in UTF-8');
    records.set(key, value.toString());
    at += length;
  }
  return records;
};
