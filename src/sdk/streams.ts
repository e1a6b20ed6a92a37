import type { CallOptions as GrpcCallOptions, Metadata, ServiceError } from '@grpc/grpc-js';
import { limits } from '../kernel/limits.ts';
import type { CallOptions, Channel } from './channel.ts';

/** The part of grpc-js's calls that is used here. */
interface ReadableCall<Message> extends AsyncIterable<Message> {
  cancel(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

interface WritableCall<Message> {
  write(message: Message, written: (error?: Error | null) => void): boolean;
  once(event: 'status', listener: () => void): unknown;
}

/** Options and metadata of a stream. Its deadline, unlike that of a call with one answer, covers its whole life. */
export const streamStart = (channel: Channel, { timeoutMs }: CallOptions): [Metadata, GrpcCallOptions] => [
  channel.metadata(),
  timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
];

/**
 * The messages of a call, in order. A consumer that is slow holds the server back, and one that stops early ends the
 * call. Throws `BoxledgerError`, or the signal's reason.
 */
export async function* messagesOf<Message>(
  channel: Channel,
  call: ReadableCall<Message>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Message, void, undefined> {
  const cancel = () => call.cancel();
  // The loop below reports the error; once it is left, cancelling raises another one that nobody needs.
  call.on('error', () => undefined);
  try {
    signal?.throwIfAborted();
    signal?.addEventListener('abort', cancel, { once: true });
    yield* call;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw isServiceError(error) ? channel.error(error) : error;
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
  }
}

/**
 * How to write to the call. The promise resolves when the call can take more, so that a slow reader holds its writer
 * back, or when the call has ended and takes nothing any more: then its reader is told why.
 */
export const writerOf = <Message>(call: WritableCall<Message>): ((message: Message) => Promise<void>) => {
  const waiting = new Set<() => void>();
  let ended = false;
  call.once('status', () => {
    ended = true;
    for (const release of waiting) release();
  });
  return (message) =>
    new Promise((resolve) => {
      if (ended) return resolve();
      const release = () => {
        waiting.delete(release);
        resolve();
      };
      waiting.add(release);
      call.write(message, release);
    });
};

/** `data` in pieces that fit in one message. */
export function* chunksOf(data: Uint8Array): Generator<Buffer> {
  for (let start = 0; start < data.length; start += limits.dataChunkBytes)
    yield Buffer.from(
      data.buffer,
      data.byteOffset + start,
      Math.min(limits.dataChunkBytes, data.length - start),
    );
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
