import type { Readable, Writable } from 'node:stream';

/** What of a terminal's input is used; a pipe or file has none of the optional parts. */
export interface CliInput extends Readable {
  readonly isTTY?: boolean;
  /** Whether the terminal gives each key as it is pressed, Ctrl-C included. */
  setRawMode?(raw: boolean): unknown;
}

/** A terminal's output emits `resize` when `rows` or `columns` change. */
export interface CliOutput extends Writable {
  readonly isTTY?: boolean;
  readonly rows?: number;
  readonly columns?: number;
}

/** Signals that ask to end; a command hears them, and may pass them on to the program that it runs. */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
export type EndingSignal = (typeof endingSignals)[number];

/** Everything that the CLI touches of the process that it runs in, so that it also runs within a test. */
export interface CliIo {
  readonly stdin: CliInput;
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly env: NodeJS.ProcessEnv;
  /** Directory that relative paths are taken from. */
  readonly workingDir: string;
  /** While a handler is there, these signals do not end the process. Returns how to take it away again. */
  onSignal(handler: (signal: EndingSignal) => void): () => void;
  setExitCode(code: number): void;
}

export const processIo = (): CliIo => ({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  workingDir: process.cwd(),
  onSignal: (handler) => {
    for (const signal of endingSignals) process.on(signal, handler);
    return () => {
      for (const signal of endingSignals) process.off(signal, handler);
    };
  },
  setExitCode: (code) => {
    process.exitCode = code;
  },
});
