import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { ExecRequest, ExecResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { type Execution, type Listener, wrong } from './execution.ts';
import { statusOf } from './status.ts';

export type ExecCall = ServerDuplexStream<ExecRequest, ExecResponse>;

/**
 * One call that is attached to a program. Memory is bounded on both ways: output that the call does not take stays where it
 * is, and input is at most a window ahead of what the program took. When the call goes, the program goes on.
 */
export class Attachment {
  readonly #call: ExecCall;
  readonly #execution: Execution;
  readonly #listener: Listener;
  /** Input that the program has not taken, in bytes. */
  #pendingInputBytes = 0;
  /** The call does not take output at the moment. */
  #held = false;
  /** Nothing can be told to the host any more. */
  #over = false;

  /** `at`: bytes of output that the caller has already; undefined: all that is kept is new to it. */
  constructor(call: ExecCall, execution: Execution, at: number | undefined) {
    this.#call = call;
    this.#execution = execution;
    this.#listener = execution.attach(at, () => this.#relay());
    call.once('cancelled', () => this.#leave());
    this.#send({ $case: 'started', value: { pid: execution.pid } });
    call.on('data', (request: ExecRequest) => this.#take(request));
    call.resume();
    this.#relay();
  }

  #relay(): void {
    while (!this.#over && !this.#held) {
      const taken = this.#execution.output.take(this.#listener.reader);
      if (taken === undefined) {
        this.#endIfOver();
        return;
      }
      if (taken.kind === 'skipped') this.#send({ $case: 'skipped', value: { bytes: BigInt(taken.bytes) } });
      else this.#send({ $case: taken.kind, value: taken.data });
      this.#execution.flow();
    }
  }

  #endIfOver(): void {
    const { exited } = this.#execution;
    if (exited === undefined) return;
    this.#send({ $case: 'exited', value: exited });
    this.#call.end();
    this.#leave();
  }

  #send(output: NonNullable<ExecResponse['output']>): void {
    if (this.#over || this.#call.write({ output }) || this.#held) return;
    this.#held = true;
    this.#call.once('drain', () => {
      this.#held = false;
      this.#relay();
    });
  }

  #take({ input }: ExecRequest): void {
    try {
      switch (input?.$case) {
        case 'stdin':
          this.#takeInput(input.value);
          break;
        case 'stdinEnd':
          this.#execution.endInput();
          break;
        case 'resize':
          this.#execution.resize(input.value);
          break;
        case 'signal':
          this.#execution.signal(input.value);
          break;
        default:
          throw wrong('input', 'a running exec takes stdin, its end, resizes and signals');
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #takeInput(data: Buffer): void {
    this.#pendingInputBytes += data.length;
    if (this.#pendingInputBytes > limits.stdinWindowBytes)
      throw new BoxledgerError('ResourceExhausted', 'more input than the window allows');
    this.#execution.write(data, () => {
      this.#pendingInputBytes -= data.length;
      if (data.length > 0) this.#send({ $case: 'stdinTaken', value: data.length });
    });
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#call.emit('error', statusOf(error));
    this.#leave();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#execution.detach(this.#listener);
  }
}
