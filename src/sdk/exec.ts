import type { TerminalSize } from '../gen/boxledger/v1/box_service.ts';
import { type ExecExited, ExecRequest, type ExecResponse } from '../gen/boxledger/v1/box_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type ChangeOptions, type Channel, mutationOf } from './channel.ts';
import { chunksOf, messagesOf, streamStart, writerOf } from './streams.ts';

/** A program to run in a box. Aborting the signal ends the call; the server then kills the program. */
export interface ExecOptions extends Omit<ChangeOptions, 'expectedVersion'> {
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Absolute; the box's when unset. */
  readonly workingDir?: string | undefined;
  /** Milliseconds after which the program is killed, unlike `timeoutMs`, which ends the call. */
  readonly programTimeoutMs?: number | undefined;
  /** Runs it with a terminal of this size. */
  readonly tty?: Readonly<Pick<TerminalSize, 'rows' | 'cols'>> | undefined;
  /** False refuses where the box would have to be started first. */
  readonly autoStart?: boolean | undefined;
}

/** In order within each of stdout and stderr; `exited` is the last. */
export type ExecOutput =
  | { readonly kind: 'started'; readonly execId: string; readonly boxId: string; readonly pid: number }
  | { readonly kind: 'stdout' | 'stderr'; readonly data: Uint8Array }
  | ({ readonly kind: 'exited' } & Pick<ExecExited, 'exit' | 'timedOut' | 'durationMs'>);

/** A run of a program. Iterate it once; until somebody reads, the program is held back. */
export interface Exec extends AsyncIterable<ExecOutput> {
  /** Resolves when the program can take more. */
  sendStdin(data: Uint8Array): Promise<void>;
  endStdin(): Promise<void>;
  resize(size: { readonly rows: number; readonly cols: number }): Promise<void>;
  /** To the process group. Name as in signal(7): `SIGTERM`. */
  sendSignal(name: string): Promise<void>;
}

/** Starts the call. It is never repeated by itself: a program that may have run is not run twice unasked. */
export const openExec = (channel: Channel, box: string, command: string, options: ExecOptions): Exec => {
  const call = channel.boxes.exec(...streamStart(channel, options));
  call.on('error', () => undefined); // reported where the output is read
  const write = writerOf(call);
  const send = (message: NonNullable<ExecRequest['message']>) => write(ExecRequest.create({ message }));
  // Input keeps its order, and its end comes last, however early it is asked for.
  let input = send({
    $case: 'start',
    value: {
      mutation: { ...mutationOf(options), expectedVersion: undefined },
      box,
      command,
      args: [...(options.args ?? [])],
      env: { ...options.env },
      workingDir: options.workingDir,
      timeoutMs: options.programTimeoutMs,
      tty: options.tty,
      autoStart: options.autoStart,
    },
  });
  return {
    sendStdin(data) {
      for (const value of chunksOf(data)) input = input.then(() => send({ $case: 'stdin', value }));
      return input;
    },
    endStdin() {
      input = input.then(() => send({ $case: 'stdinEnd', value: {} }));
      return input;
    },
    resize: ({ rows, cols }) => send({ $case: 'resize', value: { rows, cols } }),
    sendSignal: (name) => send({ $case: 'signal', value: name }),
    async *[Symbol.asyncIterator]() {
      let exited = false;
      for await (const response of messagesOf(channel, call, options.signal)) {
        const output = outputOf(response);
        if (output === undefined) continue;
        exited ||= output.kind === 'exited';
        if (exited) call.end();
        yield output;
      }
      if (!exited)
        throw new BoxledgerError(
          'Unavailable',
          'the server ended the call without saying how the program ended',
          {
            help: 'Look at the exec with `boxledger events --stream exec/…`.',
          },
        );
    },
  };
};

const outputOf = ({ message }: ExecResponse): ExecOutput | undefined => {
  switch (message?.$case) {
    case 'started': {
      const { execId, boxId, pid } = message.value;
      return { kind: 'started', execId, boxId, pid };
    }
    case 'stdout':
    case 'stderr':
      return { kind: message.$case, data: message.value };
    case 'exited': {
      const { exit, timedOut, durationMs } = message.value;
      return { kind: 'exited', exit, timedOut, durationMs };
    }
    case undefined:
      return undefined; // a newer server's message
    default:
      return message satisfies never;
  }
};
