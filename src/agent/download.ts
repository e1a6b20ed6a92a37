import { once } from 'node:events';
import { posix } from 'node:path';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { DownloadRequest, DownloadResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { asksForDirectory } from '../tar/asks-for-directory.ts';
import { pack } from '../tar/pack.ts';
import { resolveInBox } from './resolve-in-box.ts';

export type DownloadCall = ServerWritableStream<DownloadRequest, DownloadResponse>;

/** Resolves when everything has been handed to the call. Nothing is read ahead of what the call takes. */
export const download = async (call: DownloadCall, home: string): Promise<void> => {
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort(new BoxledgerError('Unavailable', 'the call was cancelled')));
  const { path, followSymlinks, followSource, includeParent, recursive } = call.request;
  const from = resolveInBox(path, home);
  const ownName = posix.basename(from); // empty for the root
  const source = asksForDirectory(path) ? 'directory' : followSource ? 'followed' : 'as-it-is';
  const name = (isDirectory: boolean) => (ownName === '' || (isDirectory && !includeParent) ? '.' : ownName);
  const send = async (part: NonNullable<DownloadResponse['part']>) => {
    gone.signal.throwIfAborted();
    if (!call.write({ part })) await once(call, 'drain', { signal: gone.signal });
  };
  const archive = pack(from, name, { followLinks: followSymlinks, source, recursive });
  const packed = inMessages(archive);
  let next = await packed.next();
  try {
    for (; next.done !== true; next = await packed.next()) await send({ $case: 'data', value: next.value });
  } finally {
    await archive.return({ entries: 0, bytes: 0 }); // closes the file that was being read
  }
  const { entries, bytes } = next.value;
  await send({ $case: 'done', value: { entries: BigInt(entries), bytes: BigInt(bytes) } });
};

/** Small pieces of the archive, such as headers, put together into messages of useful size, and large ones parted. */
async function* inMessages<Result>(
  archive: AsyncGenerator<Buffer, Result, undefined>,
): AsyncGenerator<Buffer, Result, undefined> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  let next = await archive.next();
  for (; next.done !== true; next = await archive.next())
    for (let rest = next.value; rest.length > 0; ) {
      const part = rest.subarray(0, limits.dataChunkBytes - bytes);
      rest = rest.subarray(part.length);
      waiting.push(part);
      bytes += part.length;
      if (bytes < limits.dataChunkBytes) continue;
      yield joined(waiting);
      waiting = [];
      bytes = 0;
    }
  if (bytes > 0) yield joined(waiting);
  return next.value;
}

const joined = (parts: readonly Buffer[]): Buffer => {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
};
