import type { Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { Header, type HeaderData, Pax } from 'tar';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { fromErrno } from './from-errno.ts';

const blockBytes = 512;
const endMark = Buffer.alloc(2 * blockBytes);

interface Walk {
  readonly follow: boolean;
  /** Device and inode of files with several names → the first of them in the archive. */
  readonly linked: Map<string, string>;
}

/**
 * A tar archive of a file, a link, or a directory and all below it, piece by piece; `name` is the path of `path` in the
 * archive. Sockets, devices and pipes are left out, and what vanishes while it is read. `follow`: what a link leads to
 * is packed in its place. Throws `NotFound`, `PermissionDenied`, `InvalidArgument` for circles and names that are not
 * UTF-8, `Unavailable` when a file shrinks under the reading.
 */
export async function* pack(path: string, name: string, follow: boolean): AsyncGenerator<Buffer> {
  yield* packed(path, name, { follow, linked: new Map() }, []);
  yield endMark;
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
    yield* header({ ...common(found), path: name, type: 'SymbolicLink', linkpath: await readlink(path) });
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
      help: 'Download without following links.',
    });
  yield* header({ ...common(found), path: `${name}/`, type: 'Directory' });
  for (const child of await reading(path, readdir(path))) {
    if (child.includes('\uFFFD'))
      throw new BoxledgerError('InvalidArgument', `a name in ${path} is not UTF-8`, { help: 'Rename it.' });
    yield* packed(posix.join(path, child), `${name}/${child}`, walk, [...above, identity]);
  }
}

async function* file(path: string, name: string, found: Stats, walk: Walk): AsyncGenerator<Buffer> {
  const identity = `${found.dev}:${found.ino}`;
  const first = found.nlink > 1 ? walk.linked.get(identity) : undefined;
  if (first !== undefined)
    return yield* header({ ...common(found), path: name, type: 'Link', linkpath: first });
  if (found.nlink > 1) walk.linked.set(identity, name);
  const handle = await opened(path);
  if (handle === undefined) return;
  try {
    const { size } = await handle.stat();
    yield* header({ ...common(found), path: name, type: 'File', size });
    for (let left = size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, limits.dataChunkBytes));
      const { bytesRead } = await reading(path, handle.read(buffer, 0, buffer.length));
      if (bytesRead === 0)
        throw new BoxledgerError('Unavailable', `${path} shrank while it was read`, {
          help: 'Download again.',
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
function* header(data: HeaderData): Generator<Buffer> {
  const plain = new Header(data);
  if (plain.encode()) yield new Pax(data).encode();
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

const opened = async (path: string): Promise<FileHandle | undefined> => {
  try {
    return await open(path, 'r');
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
