import type { ServiceError } from '@grpc/grpc-js';
import { CopyInRequest, type CopyInResponse, CopyOutRequest } from '../gen/boxledger/v1/box_service.ts';
import { type CallOptions, type ChangeOptions, type Channel, mutationOf } from './channel.ts';
import { chunksOf, messagesOf, streamStart, writerOf } from './streams.ts';

export interface CopyInOptions extends Omit<ChangeOptions, 'expectedVersion'> {
  /** Whether files that are there already are replaced. Default true. */
  readonly overwrite?: boolean | undefined;
}

export interface CopyOutOptions extends CallOptions {
  readonly followSymlinks?: boolean | undefined;
  /** Whether the archive's entries begin with the last part of the path. */
  readonly includeParent?: boolean | undefined;
}

/** Sends a tar stream to be unpacked in the directory `path` of the box; reads of `tar` only what the server takes. */
export const copyIn = async (
  channel: Channel,
  box: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: CopyInOptions,
): Promise<CopyInResponse> => {
  const { signal } = options;
  signal?.throwIfAborted();
  const { call, answered } = openCopyIn(channel, options);
  let over = false;
  const end = () => {
    over = true;
  };
  answered.then(end, end);
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const write = writerOf(call);
  try {
    const mutation = { ...mutationOf(options), expectedVersion: undefined };
    const header = { mutation, box, path, overwrite: options.overwrite ?? true };
    await write(CopyInRequest.create({ message: { $case: 'header', value: header } }));
    for await (const piece of tar) {
      if (over) break; // refused: the answer says why
      for (const value of chunksOf(piece))
        await write(CopyInRequest.create({ message: { $case: 'tar', value } }));
    }
    call.end();
    return await answered;
  } catch (error) {
    call.cancel();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
};

const openCopyIn = (channel: Channel, options: CallOptions) => {
  type Answered = (error: ServiceError | null, response: CopyInResponse) => void;
  let settle: Answered | undefined;
  const answered = new Promise<CopyInResponse>((resolve, reject) => {
    settle = (error, response) => {
      if (error === null) resolve(response);
      else reject(options.signal?.aborted ? options.signal.reason : channel.error(error));
    };
  });
  const call = channel.boxes.copyIn(...streamStart(channel, options), (...answer) => settle?.(...answer));
  call.on('error', () => undefined); // the callback has it
  return { call, answered };
};

/** The tar stream of a path of the box. */
export async function* copyOut(
  channel: Channel,
  box: string,
  path: string,
  { followSymlinks = false, includeParent = false, ...options }: CopyOutOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const request = CopyOutRequest.create({ box, path, followSymlinks, includeParent });
  const call = channel.boxes.copyOut(request, ...streamStart(channel, options));
  for await (const { tar } of messagesOf(channel, call, options.signal)) yield tar;
}
