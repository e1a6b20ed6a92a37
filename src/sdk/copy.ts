import type { ServiceError } from '@grpc/grpc-js';
import {
  type CopyInHeader,
  CopyInRequest,
  type CopyInResponse,
  CopyOutRequest,
} from '../gen/boxledger/v1/box_service.ts';
import { type CallOptions, type ChangeOptions, type Channel, mutationOf } from './channel.ts';
import { chunksOf, messagesOf, streamStart, writerOf } from './streams.ts';

export interface CopyInOptions extends ChangeOptions {
  /** Whether files that are there already are replaced. Default true. */
  readonly overwrite?: boolean | undefined;
  /** False refuses an archive with directories. Default true. */
  readonly recursive?: boolean | undefined;
  /**
   * The archive's one root goes where `cp -r` would put it: into the path if that is a directory, else to the path itself.
   * Default false: the path is a directory to unpack in, made where it is missing.
   */
  readonly renameRoot?: boolean | undefined;
  /** Keeps users and groups, where the box allows it. */
  readonly keepOwners?: boolean | undefined;
  /** False refuses where the box would have to be started first. */
  readonly autoStart?: boolean | undefined;
}

export interface CopyOutOptions extends CallOptions {
  /** Packs what links lead to in their place. */
  readonly followSymlinks?: boolean | undefined;
  /** The same for the path itself alone. */
  readonly followSource?: boolean | undefined;
  /** Whether the archive's entries begin with the last part of the path. */
  readonly includeParent?: boolean | undefined;
  /** False refuses a directory. Default true. */
  readonly recursive?: boolean | undefined;
  /** False refuses where the box would have to be started first. */
  readonly autoStart?: boolean | undefined;
  /** Why; kept with the event. */
  readonly reason?: string | undefined;
}

/**
 * Sends a tar stream to be unpacked in the box; reads of `tar` only what the server takes. A source that throws ends the
 * call, with its error, and nothing of it is in the box.
 */
export const copyIn = async (
  channel: Channel,
  box: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: CopyInOptions,
): Promise<CopyInResponse> => {
  const { signal, overwrite = true, renameRoot = false, keepOwners = false } = options;
  const { recursive, autoStart } = options;
  signal?.throwIfAborted();
  const { call, answered } = openCopyIn(channel, options);
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const given = { overwrite, recursive, renameRoot, keepOwners, autoStart };
  const header = { mutation: mutationOf(options), box, path, ...given };
  const pieces = tar[Symbol.asyncIterator]();
  try {
    // Who answers while the source still has to say something wants no more of it.
    return await Promise.race([answered, pour(call, header, pieces).then(() => answered)]);
  } catch (error) {
    cancel();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
    void pieces.return?.().catch(() => undefined); // a source that does not want to end has been heard enough
  }
};

const pour = async (
  call: ReturnType<typeof openCopyIn>['call'],
  header: CopyInHeader,
  pieces: AsyncIterator<Uint8Array>,
): Promise<void> => {
  const write = writerOf(call);
  let over = false;
  call.once('status', () => {
    over = true;
  });
  let next = await pieces.next(); // a source that fails at once has asked the server for nothing
  await write(CopyInRequest.create({ message: { $case: 'header', value: header } }));
  for (; next.done !== true && !over; next = await pieces.next())
    for (const value of chunksOf(next.value))
      await write(CopyInRequest.create({ message: { $case: 'tar', value } }));
  if (!over) call.end();
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

/** The tar stream of a path of the box. It is whole when the iteration ends without an error. */
export async function* copyOut(
  channel: Channel,
  box: string,
  path: string,
  options: CopyOutOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { followSymlinks = false, followSource = false, includeParent = false } = options;
  const { recursive, autoStart, reason } = options;
  const given = { followSymlinks, followSource, includeParent, recursive, autoStart, reason };
  const request = CopyOutRequest.create({ box, path, ...given });
  const call = channel.boxes.copyOut(request, ...streamStart(channel, options));
  for await (const { tar } of messagesOf(channel, call, options.signal)) yield tar;
}
