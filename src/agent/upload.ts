import { realpath } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ServerReadableStream } from '@grpc/grpc-js';
import type { UploadHeader, UploadRequest, UploadResponse } from '../gen/guest/v1/guest.ts';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { fromErrno } from './from-errno.ts';
import { Staging } from './staging.ts';
import { resolveInBox } from './transfer-paths.ts';
import { unpack } from './unpack.ts';

export type UploadCall = ServerReadableStream<UploadRequest, UploadResponse>;

/** All of the archive appears, or nothing; a call that is cancelled, or aborted by the signal, has not ended. */
export const upload = async (
  call: UploadCall,
  home: string,
  signal: AbortSignal,
): Promise<UploadResponse> => {
  const requests: AsyncIterator<UploadRequest> = call[Symbol.asyncIterator]();
  const header = await headerOf(requests);
  const root = await realDirectory(resolveInBox(header.path, home));
  const staging = new Staging(root, header.overwrite);
  const end = () => call.destroy(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  try {
    signal.throwIfAborted();
    await staging.begin();
    const bytes = await unpack(dataOf(requests), staging);
    return { entries: BigInt(await staging.commit()), bytes: BigInt(bytes) };
  } catch (error) {
    await staging.rollback();
    throw error;
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

/** The destination itself may be reached through links: its name is the caller's, not the archive's. */
const realDirectory = async (path: string): Promise<string> => {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fromErrno(error, `${path} cannot be entered`);
    return posix.join(await realDirectory(posix.dirname(path)), posix.basename(path));
  }
};
