import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { ExecRequest, ExecResponse, ExecStart, TerminalSize } from '../gen/guest/v1/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import type { Environment } from './environment.ts';
import type { ProcessGroups } from './process-groups.ts';
import {
  isTerminalSize,
  type Launch,
  launchOf,
  type Program,
  type ProgramEnd,
  startProgram,
} from './program.ts';
import type { Shutdown } from './shutdown.ts';
import { statusOf } from './status.ts';

export type ExecCall = ServerDuplexStream<ExecRequest, ExecResponse>;

/** After the program's end, how long its pipes are still read while somebody else holds them open. */
const drainMs = 1000;
const drainSteps = 10;

/**
 * One program and the call that it belongs to. Memory is bounded on both ways: while the call does not take output the
 * program's pipes are not read, and input is at most a window ahead of what the program took.
 */
export class Execution {
  readonly #call: ExecCall;
  readonly #groups: ProcessGroups;
  readonly #timers: NodeJS.Timeout[] = [];
  #program: Program | undefined;
  #startedAtMs = 0;
  #endedAtMs = 0;
  #timedOut = false;
  /** Input that the program has not taken, in bytes. */
  #pendingInputBytes = 0;
  /** The call does not take output at the moment. */
  #held = false;
  /** Nothing can be told to the host any more. */
  #over = false;

  static run(call: ExecCall, environment: Environment, groups: ProcessGroups, shutdown: Shutdown): void {
    const execution = new Execution(call, groups);
    const silent = () => execution.#fail(wrong('input', 'an exec must have a start'));
    call.once('end', silent);
    call.once('data', (first: ExecRequest) => {
      call.off('end', silent);
      call.pause(); // until there is a program to give the input to
      if (first.input?.$case === 'start')
        execution.#start(first.input.value, environment, shutdown).catch((error) => execution.#fail(error));
      else execution.#fail(wrong('input', 'the first message of an exec must be its start'));
    });
  }

  private constructor(call: ExecCall, groups: ProcessGroups) {
    this.#call = call;
    this.#groups = groups;
    call.once('cancelled', () => this.#abandon());
  }

  async #start(start: ExecStart, environment: Environment, shutdown: Shutdown) {
    const launch = await launchOf(start, environment);
    if (this.#over) return;
    shutdown.refuseWhenEnding();
    const program = await begun(launch, start.terminal);
    this.#program = program;
    for (const group of program.groups) this.#groups.add(group);
    this.#startedAtMs = performance.now();
    void program.ended.then((end) => this.#programEnded(end, program));
    program.child.stdin.on('error', () => undefined); // it closed its input: what comes is dropped and counted as taken
    if (this.#over)
      this.#kill('SIGKILL'); // cancelled while it was being started
    else shutdown.refuseWhenEnding();
    if (start.timeoutMs > 0) this.#limit(start.timeoutMs);
    this.#send({ $case: 'started', value: { pid: program.pid } });
    this.#relay(program.child.stdout, 'stdout');
    this.#relay(program.child.stderr, 'stderr');
    this.#call.on('data', (request: ExecRequest) => this.#take(request, program));
    this.#call.once('end', () => program.child.stdin.end());
    this.#call.resume();
    program.begin();
  }

  #programEnded(end: ProgramEnd, { closed }: Program): void {
    this.#endedAtMs = performance.now();
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#timedOut) this.#kill('SIGKILL'); // what it left behind is over time as well
    this.#groups.prune();
    const exited = () => this.#exited(end);
    void closed.then(exited);
    this.#drain(drainSteps, exited);
  }

  /**
   * Ends the wait for a pipe that a program left behind holds open. The time counts only while output is taken, and in
   * steps, between each of which the pipes are read: what was written before the end is in a pipe of bounded size and
   * gets through however slow the reader or the machine.
   */
  #drain(stepsLeft: number, done: () => void): void {
    if (this.#over) return;
    if (stepsLeft === 0) done();
    else setTimeout(() => this.#drain(this.#held ? stepsLeft : stepsLeft - 1, done), drainMs / drainSteps);
  }

  #relay(pipe: Readable, stream: 'stdout' | 'stderr') {
    pipe.on('error', () => undefined); // a pipe that breaks has ended
    pipe.on('data', (data: Buffer) => {
      for (let at = 0; at < data.length; at += limits.dataChunkBytes)
        this.#send({ $case: stream, value: data.subarray(at, at + limits.dataChunkBytes) });
    });
  }

  /** Once the host has heard the end or is gone, output is read and dropped: programs left behind may go on. */
  #send(output: NonNullable<ExecResponse['output']>): void {
    if (this.#over || this.#call.write({ output })) return;
    this.#program?.child.stdout.pause(); // every time: Node resumes both when the program ends
    this.#program?.child.stderr.pause();
    if (this.#held) return;
    this.#held = true;
    this.#call.once('drain', () => this.#release());
  }

  #release(): void {
    this.#held = false;
    this.#program?.child.stdout.resume();
    this.#program?.child.stderr.resume();
  }

  #take({ input }: ExecRequest, program: Program): void {
    switch (input?.$case) {
      case 'stdin':
        this.#takeInput(input.value, program);
        break;
      case 'stdinEnd':
        program.child.stdin.end();
        break;
      case 'resize':
        if (program.resize === undefined) this.#fail(wrong('resize', 'the program has no terminal'));
        else if (isTerminalSize(input.value)) program.resize(input.value);
        else this.#fail(wrong('resize', 'must have 1 to 65535 rows and columns'));
        break;
      case 'signal':
        if (isSignal(input.value)) this.#signal(input.value);
        else this.#fail(wrong('signal', `${input.value} is not the name of a signal`));
        break;
      default:
        this.#fail(wrong('input', 'a running exec takes stdin, its end, resizes and signals'));
    }
  }

  #takeInput(data: Buffer, { child }: Program): void {
    this.#pendingInputBytes += data.length;
    const taken = () => {
      this.#pendingInputBytes -= data.length;
      if (data.length > 0) this.#send({ $case: 'stdinTaken', value: data.length });
    };
    if (this.#pendingInputBytes > limits.stdinWindowBytes)
      this.#fail(new BoxledgerError('ResourceExhausted', 'more input than the window allows'));
    else if (child.stdin.writable) child.stdin.write(data, taken);
    else taken();
  }

  #limit(timeoutMs: number): void {
    const terminate = setTimeout(() => {
      this.#timedOut = true;
      this.#kill('SIGTERM');
      this.#timers.push(setTimeout(() => this.#kill('SIGKILL'), limits.shutdownTermTimeoutMs));
    }, timeoutMs);
    this.#timers.push(terminate);
  }

  /** To the program's process group alone: `script` would end the terminal under it. */
  #signal(signal: NodeJS.Signals): void {
    if (this.#program !== undefined) this.#groups.signal(this.#program.pid, signal);
  }

  #kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    const groups = this.#program?.groups ?? [];
    for (const group of signal === 'SIGKILL' ? groups : groups.slice(0, 1))
      this.#groups.signal(group, signal);
  }

  #exited({ code, signal }: ProgramEnd): void {
    if (this.#over) return;
    this.#send({
      $case: 'exited',
      value: {
        exit: signal === null ? { $case: 'code', value: code ?? 0 } : { $case: 'signal', value: signal },
        timedOut: this.#timedOut,
        durationMs: BigInt(Math.round(this.#endedAtMs - this.#startedAtMs)),
      },
    });
    this.#over = true;
    this.#call.end();
    this.#release();
  }

  /** The host is told why, and the program does not outlive the call. */
  #fail(error: unknown): void {
    if (this.#over) return;
    this.#call.emit('error', statusOf(error));
    this.#abandon();
  }

  #abandon(): void {
    if (this.#over) return;
    this.#over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#kill('SIGKILL');
    this.#release();
  }
}

const begun = async (launch: Launch, terminal: TerminalSize | undefined): Promise<Program> => {
  if (terminal === undefined) return startProgram(launch);
  const { startOnTerminal } = await import('./terminal.ts'); // most boxes never need it
  return startOnTerminal(launch, terminal);
};

const wrong = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));

const isSignal = (name: string): name is NodeJS.Signals => Object.hasOwn(constants.signals, name);
