import type { ServerReadableStream } from '@grpc/grpc-js';
import type { UploadHeader, UploadRequest, UploadResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { asksForDirectory } from '../tar/asks-for-directory.ts';
import { asCopied, within } from '../tar/destination.ts';
import { unpack } from '../tar/unpack.ts';
import { resolveInBox } from './resolve-in-box.ts';

export type UploadCall = ServerReadableStream<UploadRequest, UploadResponse>;

/** All of the archive appears, or nothing; a call that is cancelled, or aborted by the signal, has not ended. */
export const upload = async (
  call: UploadCall,
  home: string,
  signal: AbortSignal,
): Promise<UploadResponse> => {
  const requests: AsyncIterator<UploadRequest> = call[Symbol.asyncIterator]();
  const { path, renameRoot, ...options } = await headerOf(requests);
  const place = resolveInBox(path, home);
  const destination = renameRoot ? await asCopied(place, asksForDirectory(path)) : await within(place);
  const end = () => call.destroy(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  try {
    signal.throwIfAborted();
    const { entries, bytes } = await unpack(dataOf(requests), destination, {
      ...options,
      journalIn: home,
    });
    return { transferred: { entries: BigInt(entries), bytes: BigInt(bytes) } };
  } finally {
    signal.removeEventListener('abort', end);
  }
};

const headerOf = async (requests: AsyncIterator<UploadRequest>): Promise<UploadHeader> => {
  const first = await requests.next();
  const part = first.done === true ? undefined : first.value.part;
  if (part?.$case !== 'header') throw outOfOrder('the first message of an upload must be its header');
  return part.value;
};

async function* dataOf(requests: AsyncIterator<UploadRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    if (next.value.part?.$case !== 'data') throw outOfOrder('after the header an upload is nothing but data');
    yield next.value.part.value;
  }
}

const outOfOrder = (problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field: 'part', problem }]));
