import { once } from 'node:events';
import { lstat, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { DownloadRequest, DownloadResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { fromErrno } from './from-errno.ts';
import { pack } from './pack.ts';
import { resolveInBox } from './transfer-paths.ts';

export type DownloadCall = ServerWritableStream<DownloadRequest, DownloadResponse>;

/** Resolves when everything has been handed to the call. Nothing is read ahead of what the call takes. */
export const download = async (call: DownloadCall, home: string): Promise<void> => {
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort(new BoxledgerError('Unavailable', 'the call was cancelled')));
  const { path, followSymlinks, includeParent } = call.request;
  const source = resolveInBox(path, home);
  const isDirectory = await lookAt(source, followSymlinks);
  const ownName = posix.basename(source); // empty for the root
  const name = ownName === '' || (isDirectory && !includeParent) ? '.' : ownName;
  for await (const data of inChunks(pack(source, name, followSymlinks))) {
    gone.signal.throwIfAborted();
    if (!call.write({ data })) await once(call, 'drain', { signal: gone.signal });
  }
};

const lookAt = async (path: string, follow: boolean): Promise<boolean> => {
  try {
    return (await (follow ? stat(path) : lstat(path))).isDirectory();
  } catch (error) {
    throw fromErrno(error, `${path} cannot be read`);
  }
};

/** Small pieces of the archive, such as headers, put together into messages of useful size. */
async function* inChunks(archive: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const piece of archive) {
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
