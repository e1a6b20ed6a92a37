import { once } from 'node:events';
import type { JsonValue } from '../kernel/json.ts';
import type { CliOutput } from './io.ts';

/** Whoever read our output reads no more; like a program that SIGPIPE ended, we end without a word. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** The way to standard output and standard error. A reader that is slow is waited for. */
export interface Output {
  bytes(to: 'stdout' | 'stderr', data: Uint8Array | string): Promise<void>;
  line(text: string): Promise<void>;
  json(value: JsonValue): Promise<void>;
  /** Resolves when everything has been taken. */
  flush(): Promise<void>;
}

/** `closed` is called, with an error to end the command with, when nobody can read the output any more. */
export const openOutput = (
  streams: { readonly stdout: CliOutput; readonly stderr: CliOutput },
  closed: (reason: Error) => void,
  signal: AbortSignal,
): Output => {
  // These stay to the end of the process: a pipe may report after the command has ended that nobody reads it.
  for (const stream of [streams.stdout, streams.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) =>
      closed(error.code === 'EPIPE' ? new OutputClosed() : error),
    );

  const write = async (stream: CliOutput, data: Uint8Array | string) => {
    signal.throwIfAborted();
    if (stream.write(data)) return;
    await once(stream, 'drain', { signal }).catch(() => signal.throwIfAborted());
  };
  return {
    bytes: (to, data) => write(streams[to], data),
    line: (text) => write(streams.stdout, `${text}\n`),
    json: (value) => write(streams.stdout, `${JSON.stringify(value)}\n`),
    async flush() {
      await new Promise<void>((resolve) => streams.stdout.write('', () => resolve()));
      signal.throwIfAborted();
    },
  };
};
