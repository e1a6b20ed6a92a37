import { createHash } from 'node:crypto';
import type { ServiceError } from '@grpc/grpc-js';
import type { Box } from '../gen/boxledger/v1/box.ts';
import { BoxOptions } from '../gen/boxledger/v1/box.ts';
import {
  type ExportRequest,
  type ExportResponse,
  ImportRequest,
  type ImportResponse,
} from '../gen/boxledger/v1/disk_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxOf } from './box-of.ts';
import { type CallOptions, type ChangeOptions, type Channel, mutationOf } from './channel.ts';
import { type OperationOptions, tell } from './operation.ts';
import { chunksOf, messagesOf, streamStart, writerOf } from './streams.ts';

/** A box as one file: tar in zstd frames. */
export interface BoxArchive {
  readonly box: Box;
  readonly exportId: string;
  readonly sizeBytes: bigint;
  /** In lower-case hexadecimal. */
  readonly sha256: string;
  /** What the disk is worth: `file-system` or `crash`. */
  readonly consistency: string;
  /** Throws at the end when what came is not the archive that the server made. A slow reader holds the server back. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Gives up what was not read. */
  close(): Promise<void>;
}

export interface ImportOptions extends Omit<ChangeOptions, 'expectedVersion'> {
  /** That of the box that was exported, when unset. */
  readonly name?: string | undefined;
  /** What is set goes before what the archive says; `env` and `labels` key by key. */
  readonly options?: Partial<BoxOptions> | undefined;
  /** Bytes of the archive that have been sent. */
  readonly onSent?: ((bytes: number) => void) | undefined;
}

/** Never repeated by itself: the archive goes with the call. */
export const exportBox = async (
  channel: Channel,
  options: OperationOptions,
  request: ExportRequest,
): Promise<BoxArchive> => {
  const call = channel.disks.export(request, ...streamStart(channel, options));
  const messages = messagesOf(channel, call, options.signal);
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    const { message } = next.value;
    if (message?.$case === 'progress') tell(options, message.value);
    if (message?.$case !== 'header') continue;
    const { box, exportId, sizeBytes, sha256, consistency } = message.value;
    return {
      box: boxOf(box),
      exportId,
      sizeBytes,
      sha256,
      consistency,
      bytes: checkedBytes(messages, sha256),
      close: async () => void (await messages.return()),
    };
  }
  throw new BoxledgerError('Unavailable', 'the server ended the call before the archive');
};

async function* checkedBytes(
  messages: AsyncGenerator<ExportResponse, void, undefined>,
  sha256: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  for await (const { message } of messages) {
    if (message?.$case !== 'chunk') continue;
    hash.update(message.value);
    yield message.value;
  }
  if (hash.digest('hex') !== sha256)
    throw new BoxledgerError('Unavailable', 'the archive did not come as the server made it', {
      help: 'Export the box again.',
    });
}

/** Never repeated by itself: an archive can be read once. With a command id of the caller's it can be sent again. */
export const importBox = async (
  channel: Channel,
  archive: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Box> => {
  const { signal, name = '', onSent } = options;
  signal?.throwIfAborted();
  const { call, answered } = openImport(channel, options);
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  answered.then(over, over);
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const write = writerOf(call);
  try {
    const header = {
      mutation: { ...mutationOf(options), expectedVersion: undefined },
      name,
      options: BoxOptions.fromPartial(options.options ?? {}),
    };
    await write(ImportRequest.create({ message: { $case: 'header', value: header } }));
    let sent = 0;
    for await (const piece of archive) {
      for (const value of chunksOf(piece)) {
        if (isOver) break;
        await write(ImportRequest.create({ message: { $case: 'chunk', value } }));
      }
      if (isOver) break; // refused: the answer says why
      sent += piece.length;
      onSent?.(sent);
    }
    call.end();
    return boxOf((await answered).box);
  } catch (error) {
    call.cancel();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
};

const openImport = (channel: Channel, options: CallOptions) => {
  type Answered = (error: ServiceError | null, response: ImportResponse) => void;
  let settle: Answered | undefined;
  const answered = new Promise<ImportResponse>((resolve, reject) => {
    settle = (error, response) => {
      if (error === null) resolve(response);
      else reject(options.signal?.aborted ? options.signal.reason : channel.error(error));
    };
  });
  const call = channel.disks.import(...streamStart(channel, options), (...answer) => settle?.(...answer));
  call.on('error', () => undefined); // the callback has it
  return { call, answered };
};
