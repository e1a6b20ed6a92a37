import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { ExecExited, ExecRequest, ExecResponse } from '../gen/boxledger/v1/box_service.ts';
import type { AttachExecResponse } from '../gen/boxledger/v1/exec_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { CallOptions, Channel } from './channel.ts';
import { chunksOf, messagesOf, writerOf } from './streams.ts';

/** In order within each of stdout and stderr; `exited` is the last. */
export type ExecOutput =
  | { readonly kind: 'started'; readonly execId: string; readonly boxId: string; readonly pid: number }
  | { readonly kind: 'stdout' | 'stderr'; readonly data: Uint8Array }
  /** Output of both streams that is not kept any more, in the place where it was. */
  | { readonly kind: 'skipped'; readonly bytes: bigint }
  | ({ readonly kind: 'exited' } & Pick<ExecExited, 'exit' | 'timedOut' | 'durationMs'>);

/**
 * A call that is attached to a program. Iterate it once; until somebody reads, the program is held back. Whoever stops
 * reading is attached no more, and the program goes on, with its input open.
 */
export interface Exec extends AsyncIterable<ExecOutput> {
  /** Resolves when the program can take more. */
  sendStdin(data: Uint8Array): Promise<void>;
  endStdin(): Promise<void>;
  resize(size: { readonly rows: number; readonly cols: number }): Promise<void>;
  /** To the process group. Name as in signal(7): `SIGTERM`. */
  sendSignal(name: string): Promise<void>;
}

/** What both kinds of call take after their first message. */
type Said = Exclude<NonNullable<ExecRequest['message']>, { $case: 'start' }>;

/** `first` opens the call: what is to be started, or attached to. */
export const attachedBy = <Request, First>(
  channel: Channel,
  call: ClientDuplexStream<Request, ExecResponse | AttachExecResponse>,
  options: CallOptions,
  first: First,
  request: (message: First | Said) => Request,
): Exec => {
  call.on('error', () => undefined); // reported where the output is read
  const write = writerOf(call);
  const send = (message: First | Said) => write(request(message));
  // Input keeps its order, and its end comes last, however early it is asked for.
  let input = send(first);
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

const outputOf = ({ message }: ExecResponse | AttachExecResponse): ExecOutput | undefined => {
  switch (message?.$case) {
    case 'started': {
      const { execId, boxId, pid } = message.value;
      return { kind: 'started', execId, boxId, pid };
    }
    case 'stdout':
    case 'stderr':
      return { kind: message.$case, data: message.value };
    case 'skipped':
      return { kind: 'skipped', bytes: message.value.bytes };
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
