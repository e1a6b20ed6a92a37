import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { Header, type HeaderData, Pax } from 'tar';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { fromErrno } from '../kernel/from-errno.ts';
import type { Transferred } from './transferred.ts';

const blockBytes = 512;
const readBytes = 256 * 1024;
const endMark = Buffer.alloc(2 * blockBytes);

export interface PackOptions {
  /** What a link leads to is packed in its place. */
  readonly followLinks: boolean;
  /** What `path` itself may be: anything; when it is a link, what that leads to; the same, but only a directory. */
  readonly source: 'as-it-is' | 'followed' | 'directory';
  /** False refuses a directory. */
  readonly recursive: boolean;
}

interface Walk {
  readonly follow: boolean;
  /** Device and inode of files with several names → the first of them in the archive. */
  readonly linked: Map<string, string>;
  entries: number;
  bytes: number;
}

/**
 * A tar archive of a file, a link, or a directory and all below it, piece by piece; `name` gives its path in the archive.
 * The same tree gives the same archive. Sockets, devices and pipes are left out, and what vanishes while it is read. Returns
 * what is in it. Throws `NotFound`, `PermissionDenied`, `InvalidArgument` for circles, for names that have no form in an
 * archive and for what cannot be packed at all, `Unavailable` when a file shrinks under the reading.
 */
export async function* pack(
  path: string,
  name: (isDirectory: boolean) => string,
  { followLinks, source, recursive }: PackOptions,
): AsyncGenerator<Buffer, Transferred, undefined> {
  const walk: Walk = { follow: followLinks, linked: new Map(), entries: 0, bytes: 0 };
  const from = source === 'as-it-is' ? path : await reading(path, realpath(path));
  const found = await look(from, followLinks);
  if (found === undefined) throw new BoxledgerError('NotFound', `${path} is not there`);
  const isDirectory = found.isDirectory();
  if (source === 'directory' && !isDirectory)
    throw new BoxledgerError('NotFound', `${path} is not a directory`);
  if (isDirectory && !recursive)
    throw new BoxledgerError('InvalidArgument', `${path} is a directory`, { help: 'Copy it recursively.' });
  if (!isDirectory && !found.isFile() && !found.isSymbolicLink())
    throw new BoxledgerError('InvalidArgument', `${path} is neither a file, a directory nor a link`);
  yield* packed(from, name(isDirectory), walk, []);
  yield endMark;
  const { entries, bytes } = walk;
  return { entries, bytes };
}

async function* packed(
  path: string,
  name: string,
  walk: Walk,
  above: readonly string[],
): AsyncGenerator<Buffer> {
  const found = await look(path, walk.follow);
  if (found?.isDirectory()) yield* directory(path, name, found, walk, above);
  else if (found?.isSymbolicLink())
    yield* header(
      { ...common(found), path: name, type: 'SymbolicLink', linkpath: await reading(path, readlink(path)) },
      walk,
    );
  else if (found?.isFile()) yield* file(path, name, found, walk);
}

async function* directory(
  path: string,
  name: string,
  found: Stats,
  walk: Walk,
  above: readonly string[],
): AsyncGenerator<Buffer> {
  const identity = `${found.dev}:${found.ino}`;
  if (above.includes(identity))
    throw new BoxledgerError('InvalidArgument', `following links goes in a circle at ${path}`, {
      help: 'Copy without following links.',
    });
  yield* header({ ...common(found), path: `${name}/`, type: 'Directory' }, walk);
  for (const child of (await reading(path, readdir(path))).sort()) {
    if (child.includes('\uFFFD'))
      throw new BoxledgerError('InvalidArgument', `a name in ${path} is not UTF-8`, { help: 'Rename it.' });
    yield* packed(posix.join(path, child), `${name}/${child}`, walk, [...above, identity]);
  }
}

async function* file(path: string, name: string, found: Stats, walk: Walk): AsyncGenerator<Buffer> {
  const identity = `${found.dev}:${found.ino}`;
  const first = found.nlink > 1 ? walk.linked.get(identity) : undefined;
  if (first !== undefined)
    return yield* header({ ...common(found), path: name, type: 'Link', linkpath: first }, walk);
  if (found.nlink > 1) walk.linked.set(identity, name);
  const handle = await opened(path, walk.follow);
  if (handle === undefined) return;
  try {
    const opening = await handle.stat();
    if (!opening.isFile()) return; // it took the place of the file that was there a moment ago
    const { size } = opening;
    yield* header({ ...common(found), path: name, type: 'File', size }, walk);
    walk.bytes += size;
    for (let left = size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, readBytes));
      const { bytesRead } = await reading(path, handle.read(buffer, 0, buffer.length));
      if (bytesRead === 0)
        throw new BoxledgerError('Unavailable', `${path} shrank while it was read`, {
          help: 'Copy again.',
        });
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    yield Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
  } finally {
    await handle.close();
  }
}

const common = ({ mode, uid, gid, mtime }: Stats) => ({ mode: mode & 0o7777, uid, gid, mtime, size: 0 });

/** An extended header goes before what does not fit into a plain one. */
function* header(data: HeaderData, walk: Walk): Generator<Buffer> {
  walk.entries += 1;
  const plain = new Header(data);
  if (plain.encode()) {
    if (`${data.path}${data.linkpath ?? ''}`.includes('\n'))
      throw new BoxledgerError(
        'InvalidArgument',
        `${JSON.stringify(data.path)} has a line break in a long name`,
        {
          help: 'Rename it: an archive has no form for it that every reader understands.',
        },
      );
    yield new Pax(data).encode();
  }
  if (plain.block !== undefined) yield plain.block;
}

/** Undefined for what vanished since its directory was read. A link that leads nowhere is there, and cannot be followed. */
const look = async (path: string, follow: boolean): Promise<Stats | undefined> => {
  try {
    return await (follow ? stat(path) : lstat(path));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fromErrno(error, `${path} cannot be read`);
    if (!follow || (await look(path, false)) === undefined) return undefined;
    throw new BoxledgerError('NotFound', `${path} is a link that leads nowhere`);
  }
};

/** Neither waits for what is no file any more, nor goes through a link that was none when it was looked at. */
const opened = async (path: string, follow: boolean): Promise<FileHandle | undefined> => {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  try {
    return await open(path, O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromErrno(error, `${path} cannot be read`);
  }
};

const reading = async <Result>(path: string, work: Promise<Result>): Promise<Result> => {
  try {
    return await work;
  } catch (error) {
    throw fromErrno(error, `${path} cannot be read`);
  }
};
