import type { ClientReadableStream, ClientWritableStream } from '@grpc/grpc-js';
import type { DownloadResponse, UploadHeader, UploadRequest, UploadResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { chunksOf } from './chunks.ts';
import type { Transferred } from './guest.ts';
import { downloadSchema, parseGuest, uploadSchema } from './messages.ts';
import { brokenProtocol, endedBy, fromStatus } from './status.ts';
import { answerOf, type Callback } from './unary.ts';

/** Sends an archive no faster than the guest takes it. A source that throws cancels the call, with its error. */
export const sendArchive = (
  begin: (callback: Callback<UploadResponse>) => ClientWritableStream<UploadRequest>,
  header: UploadHeader,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
) => {
  const sourceFailed = new AbortController();
  return answerOf(
    (callback: Callback<UploadResponse>) => {
      const call = begin(callback);
      pour(call, header, archive).catch((error: unknown) => sourceFailed.abort(error));
      return call;
    },
    uploadSchema,
    AbortSignal.any([signal, sourceFailed.signal]),
    'the upload',
  );
};

/** Ends early once the guest has given its answer: it wants no more. */
const pour = async (
  call: ClientWritableStream<UploadRequest>,
  header: UploadHeader,
  archive: AsyncIterable<Uint8Array>,
): Promise<void> => {
  let answered = false;
  call.once('status', () => {
    answered = true;
  });
  call.write({ part: { $case: 'header', value: header } });
  for await (const piece of archive)
    for (const chunk of chunksOf(piece)) {
      if (answered) return;
      if (!call.write({ part: { $case: 'data', value: chunk } })) await drained(call);
    }
  call.end();
};

const drained = (call: ClientWritableStream<UploadRequest>) =>
  new Promise<void>((resolve) => {
    const done = () => {
      call.off('drain', done);
      call.off('status', done);
      resolve();
    };
    call.on('drain', done);
    call.on('status', done);
  });

/**
 * An archive as it comes, no faster than it is read; returns what the guest says is in it. A reader that leaves early
 * cancels the call.
 */
export async function* receiveArchive(
  begin: () => ClientReadableStream<DownloadResponse>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, Transferred, undefined> {
  if (signal.aborted) throw endedBy(signal, 'the download');
  const call = begin();
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of call) {
      const part = parseGuest(downloadSchema, message);
      if (part.$case === 'done') return part.value;
      yield part.value;
    }
    throw brokenProtocol('a download ended before it was done');
  } catch (error) {
    if (signal.aborted) throw endedBy(signal, 'the download');
    throw error instanceof BoxledgerError ? error : fromStatus(error);
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}
