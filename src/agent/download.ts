import { once } from 'node:events';
import { lstat, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { Pack } from 'tar';
import type { DownloadRequest, DownloadResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { errnoOf, fromErrno } from './errno.ts';
import { resolveInBox } from './transfer-paths.ts';

export type DownloadCall = ServerWritableStream<DownloadRequest, DownloadResponse>;

/** Resolves when everything has been handed to the call. Nothing is read ahead of what the call takes. */
export const download = async (call: DownloadCall, home: string): Promise<void> => {
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort(new BoxledgerError('Unavailable', 'the call was cancelled')));
  const archive = await packed(call.request, home);
  try {
    for await (const data of inChunks(archive))
      if (!call.write({ data })) await once(call, 'drain', { signal: gone.signal });
  } catch (error) {
    throw await whileReading(error);
  } finally {
    archive.destroy();
  }
};

const packed = async (request: DownloadRequest, home: string): Promise<Readable> => {
  const path = resolveInBox(request.path, home);
  const isDirectory = await lookAt(path, request.followSymlinks);
  const name = posix.basename(path);
  const contentsOnly = name === '' || (isDirectory && !request.includeParent);
  const archive = new PassThrough();
  const pack = new Pack({
    cwd: contentsOnly ? path : posix.dirname(path),
    follow: request.followSymlinks,
    maxReadSize: limits.dataChunkBytes,
    filter: wanted((error) => archive.destroy(error)),
    statCache: new Recent(),
  });
  pack.on('error', (error: unknown) => archive.destroy(fromErrno(error, 'the archive cannot be made')));
  pack.on('warn', (_code: string, _message: string, data: unknown) => {
    if (data instanceof Error) archive.destroy(fromErrno(data, 'the archive cannot be made'));
  });
  pack.pipe(archive);
  pack.add(contentsOnly ? '.' : name);
  pack.end();
  return archive;
};

/**
 * Pack remembers what it found of each file until its end, but asks for it only right after it has looked: it looks at
 * four at once.
 */
class Recent<Key, Value> extends Map<Key, Value> {
  override set(key: Key, value: Value): this {
    const [oldest] = this.keys();
    if (this.size >= 1000 && oldest !== undefined) this.delete(oldest);
    return super.set(key, value);
  }
}

const lookAt = async (path: string, follow: boolean): Promise<boolean> => {
  try {
    return (await (follow ? stat(path) : lstat(path))).isDirectory();
  } catch (error) {
    throw fromErrno(error, `${path} cannot be read`);
  }
};

interface Looked {
  readonly dev: number;
  readonly ino: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/** Lets files, directories and links through, and refuses to go round in circles when links are followed. */
const wanted = (refuse: (error: BoxledgerError) => void) => {
  const directories = new Map<string, string>();
  return (path: string, found: unknown): boolean => {
    const entry = found as Looked; // Pack gives what `lstat` or `stat` did
    if (!entry.isDirectory()) return entry.isFile() || entry.isSymbolicLink();
    const identity = `${entry.dev}:${entry.ino}`;
    for (let above = posix.dirname(path); ; above = posix.dirname(above)) {
      if (directories.get(above) === identity) {
        refuse(
          new BoxledgerError('InvalidArgument', `following links goes in a circle at ${path}`, {
            help: 'Download without following links.',
          }),
        );
        return false;
      }
      if (above === posix.dirname(above)) break;
    }
    directories.set(posix.normalize(path).replace(/\/$/, ''), identity);
    return true;
  };
};

/** Small pieces of the archive, such as headers, put together into messages of useful size. */
async function* inChunks(archive: Readable): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const piece of archive as AsyncIterable<Buffer>) {
    if (bytes + piece.length > limits.dataChunkBytes && bytes > 0) {
      yield Buffer.concat(waiting);
      waiting = [];
      bytes = 0;
    }
    waiting.push(piece);
    bytes += piece.length;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

/** A file that was there when its directory was read and is gone now is no lasting trouble; a link to nowhere is. */
const whileReading = async (error: unknown): Promise<unknown> => {
  const cause = error instanceof BoxledgerError ? error.cause : undefined;
  if (errnoOf(cause) === 'EOF') return changed(cause);
  if (errnoOf(cause) !== 'ENOENT' || !(cause instanceof Error && 'path' in cause)) return error;
  const path = String(cause.path);
  const isLink = await lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
  return isLink ? new BoxledgerError('NotFound', `${path} is a link that leads nowhere`) : changed(cause);
};

const changed = (cause: unknown) =>
  new BoxledgerError('Unavailable', 'a file changed while it was read', { help: 'Download again.', cause });
