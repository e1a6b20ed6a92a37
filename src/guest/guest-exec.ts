/*
 * One call that is attached to a program, seen from the host.
 *
 * 1. Output waits in a queue of bounded size. When that is full the call is not read, the guest's agent does not read
 *    the program's pipes, and the program waits.
 * 2. Input is at most a window ahead of what the program took, so signals and resizes, which go the same way, are never
 *    behind input that nobody takes.
 * 3. `started` comes first, `exited` last, each once; a guest that does otherwise ends the call.
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { ExecSpec } from '../events/exec-events.ts';
import type { ExecRequest, ExecResponse } from '../gen/guest/v1/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import type { ExecId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { chunksOf } from './chunks.ts';
import type { ExecDefaults, ExecInput, ExecOutput, GuestExec } from './guest.ts';
import { execSchema, isSignal, parseGuest } from './messages.ts';
import { brokenProtocol, endedBy, fromStatus } from './status.ts';

export type ExecCall = ClientDuplexStream<ExecRequest, ExecResponse>;

/** Output that waits for its reader: beyond either bound the guest is not read. */
const queueMaxBytes = 256 * 1024;
const queueMaxMessages = 64;
/** How long a guest may take to end the call of a program that has ended. */
const endPatienceMs = 1_000;

export class GrpcGuestExec implements GuestExec {
  readonly #call: ExecCall;
  readonly #queue: ExecOutput[] = [];
  #queuedBytes = 0;
  #state: 'asked' | 'started' | 'exited' = 'asked';
  #failure: { readonly error: unknown } | undefined;
  /** Input that the program has not taken, in bytes. */
  #pendingInputBytes = 0;
  /** Input in the order of its `send`s. */
  #input: Promise<void> = Promise.resolve();
  /** Those who wait for anything to change. */
  readonly #waiting: (() => void)[] = [];

  /** `first` opens the exec: its start, or attaches to one. */
  constructor(call: ExecCall, first: NonNullable<ExecRequest['input']>, signal: AbortSignal) {
    this.#call = call;
    const abort = () => this.#fail(endedBy(signal, 'the exec'));
    signal.addEventListener('abort', abort, { once: true });
    call.once('close', () => signal.removeEventListener('abort', abort));
    call.on('data', (message: ExecResponse) => this.#take(message));
    call.on('error', (error: unknown) => this.#fail(fromStatus(error)));
    call.once('end', () => this.#fail(brokenProtocol('an exec ended without an exit')));
    if (signal.aborted) abort();
    else call.write({ input: first });
  }

  async *[Symbol.asyncIterator](): AsyncIterator<ExecOutput> {
    try {
      for (;;) {
        const output = this.#queue.shift();
        if (output !== undefined) {
          if ('data' in output) this.#queuedBytes -= output.data.length;
          if (!this.#isFull()) this.#call.resume();
          yield output;
          if (output.kind === 'exited') return;
        } else if (this.#failure !== undefined) throw this.#failure.error;
        else await this.#changes();
      }
    } finally {
      if (this.#state !== 'exited') this.#call.cancel(); // the reader left, and is attached no more
    }
  }

  async send(input: ExecInput): Promise<void> {
    switch (input.kind) {
      case 'stdin':
        this.#input = this.#input.then(() => this.#sendInput(input.data));
        return this.#input;
      case 'end':
        this.#input = this.#input.then(() => this.#write({ $case: 'stdinEnd', value: {} }));
        return this.#input;
      case 'resize':
        return this.#write({ $case: 'resize', value: { rows: input.rows, cols: input.cols } });
      case 'signal':
        if (!isSignal(input.signal))
          throw wrong('signal', `${JSON.stringify(input.signal)} is not the name of a signal`);
        return this.#write({ $case: 'signal', value: input.signal });
    }
    input satisfies never;
  }

  async #sendInput(data: Uint8Array): Promise<void> {
    for (const chunk of chunksOf(data)) {
      while (this.#isOpen() && this.#pendingInputBytes + chunk.length > limits.stdinWindowBytes)
        await this.#changes();
      this.#pendingInputBytes += chunk.length;
      this.#write({ $case: 'stdin', value: chunk });
    }
  }

  /** What is said to a program that has ended is dropped, as a pipe would; to one that was lost it is an error. */
  #write(input: NonNullable<ExecRequest['input']>): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isOpen()) this.#call.write({ input });
  }

  #isOpen(): boolean {
    return this.#state !== 'exited' && this.#failure === undefined;
  }

  #isFull(): boolean {
    return this.#queuedBytes >= queueMaxBytes || this.#queue.length >= queueMaxMessages;
  }

  #take(message: ExecResponse): void {
    if (!this.#isOpen()) return;
    try {
      this.#accept(parseGuest(execSchema, message));
    } catch (error) {
      this.#fail(error);
    }
    this.#changed();
  }

  #accept(output: ReturnType<typeof execSchema.parse>): void {
    if (this.#state !== (output.$case === 'started' ? 'asked' : 'started'))
      throw brokenProtocol(`${output.$case} of an exec that is ${this.#state}`);
    switch (output.$case) {
      case 'started':
        this.#state = 'started';
        this.#enqueue({ kind: 'started', pid: output.value.pid });
        break;
      case 'stdout':
      case 'stderr':
        this.#queuedBytes += output.value.length;
        this.#enqueue({ kind: output.$case, data: output.value });
        break;
      case 'stdinTaken':
        this.#pendingInputBytes -= output.value;
        if (this.#pendingInputBytes < 0) throw brokenProtocol('more input was taken than was sent');
        break;
      case 'skipped':
        this.#enqueue({ kind: 'skipped', ...output.value });
        break;
      case 'exited':
        this.#state = 'exited';
        this.#enqueue({ kind: 'exited', ...output.value });
        this.#leave();
        break;
      default:
        output satisfies never;
    }
  }

  /**
   * There is nothing more to say or hear. Not by cancelling: that resets the stream, and a server which sees many resets in a
   * short time ends the whole connection. A guest that does not end the call either is not waited for.
   */
  #leave(): void {
    this.#call.end();
    this.#call.resume(); // what still comes is dropped
    const patience = setTimeout(() => this.#call.cancel(), endPatienceMs).unref();
    this.#call.once('status', () => clearTimeout(patience));
  }

  #enqueue(output: ExecOutput): void {
    this.#queue.push(output);
    if (this.#isFull()) this.#call.pause();
  }

  /** The first failure counts. What came before it is still delivered. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#state === 'exited') return;
    this.#failure = { error };
    this.#call.cancel();
    this.#call.resume(); // a call that is not read never hears of its end
    this.#changed();
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #changes(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export const startOf = (execId: ExecId, spec: ExecSpec, defaults: ExecDefaults, detached: boolean) => ({
  execId,
  detached,
  user: spec.user ?? '',
  command: spec.command,
  args: spec.args,
  env: { ...defaults.env, ...spec.env },
  workingDir: spec.workingDir ?? defaults.workingDir ?? '',
  timeoutMs: spec.timeoutMs ?? 0,
  terminal: spec.tty,
});

const wrong = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));
