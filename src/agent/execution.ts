import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import type { ExecExited, TerminalSize } from '../gen/guest/v1/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { OutputLog, type OutputStream, type Reader } from './output-log.ts';
import type { ProcessGroups } from './process-groups.ts';
import { isTerminalSize, type Program, type ProgramEnd } from './program.ts';

/** After the program's end, how long its pipes are still read while somebody else holds them open. */
const drainMs = 1000;
const drainSteps = 10;

/** Who is attached: told when there is more output, or the end. */
export interface Listener {
  readonly reader: Reader;
  wake(): void;
}

/**
 * One program, from its start to its end. It belongs to no call: those attach to it and go. Its pipes are not read while
 * somebody who is attached is too far behind; when nobody is, they are read, and the last of the output is kept.
 */
export class Execution {
  readonly execId: string;
  readonly output = new OutputLog();
  /** Resolves once the program has ended and what it wrote has been read. */
  readonly ended: Promise<ExecExited>;
  readonly #program: Program;
  readonly #groups: ProcessGroups;
  readonly #listeners = new Set<Listener>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #startedAtMs = performance.now();
  #end: (exited: ExecExited) => void = () => undefined;
  #exited: ExecExited | undefined;
  #timedOut = false;
  #held = false;

  /** For a program that has just been started, and holds back until `begin`. */
  constructor(execId: string, program: Program, groups: ProcessGroups) {
    this.execId = execId;
    this.#program = program;
    this.#groups = groups;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    for (const group of program.groups) groups.add(group);
    program.child.stdin.on('error', () => undefined); // it closed its input: what comes is dropped and counted as taken
    void program.ended.then((end) => this.#programEnded(end));
    this.#read(program.child.stdout, 'stdout');
    this.#read(program.child.stderr, 'stderr');
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** Undefined while it runs. */
  get exited(): ExecExited | undefined {
    return this.#exited;
  }

  begin(timeoutMs: number): void {
    if (timeoutMs > 0) this.#limit(timeoutMs);
    this.#program.begin();
  }

  /** `at`: as `OutputLog.attach`. The listener is not called before its maker has it. */
  attach(at: number | undefined, wake: () => void): Listener {
    const listener = { reader: this.output.attach(at), wake };
    this.#listeners.add(listener);
    return listener;
  }

  detach(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    this.output.detach(listener.reader);
    this.flow();
  }

  /** To be called when a reader has moved on: the program may go on as well. */
  flow(): void {
    const { stdout, stderr } = this.#program.child;
    this.#held = this.#exited === undefined && this.output.isFull;
    for (const pipe of [stdout, stderr]) {
      if (this.#held) pipe.pause();
      else pipe.resume();
    }
  }

  /** `taken` is called when the program has taken it, or will not any more. */
  write(data: Buffer, taken: () => void): void {
    const { stdin } = this.#program.child;
    if (stdin.writable) stdin.write(data, taken);
    else taken();
  }

  endInput(): void {
    this.#program.child.stdin.end();
  }

  /** Throws `InvalidArgument`. */
  resize(size: TerminalSize): void {
    if (this.#program.resize === undefined) throw wrong('resize', 'the program has no terminal');
    if (!isTerminalSize(size)) throw wrong('resize', 'must have 1 to 65535 rows and columns');
    if (this.#exited === undefined) this.#program.resize(size);
  }

  /** To the program's process group alone: `script` would end the terminal under it. Throws `InvalidArgument`. */
  signal(name: string): void {
    if (!isSignal(name)) throw wrong('signal', `${name} is not the name of a signal`);
    this.#groups.signal(this.#program.pid, name);
  }

  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    const { groups } = this.#program;
    for (const group of signal === 'SIGKILL' ? groups : groups.slice(0, 1))
      this.#groups.signal(group, signal);
  }

  #read(pipe: Readable, stream: OutputStream) {
    pipe.on('error', () => undefined); // a pipe that breaks has ended
    pipe.on('data', (data: Buffer) => {
      if (this.#exited !== undefined) return; // of a program left behind, which may go on
      this.output.append(stream, data);
      for (const { wake } of this.#listeners) wake();
      this.flow(); // every time: Node resumes both when the program ends
    });
  }

  #limit(timeoutMs: number): void {
    const terminate = setTimeout(() => {
      this.#timedOut = true;
      this.kill('SIGTERM');
      this.#timers.push(setTimeout(() => this.kill('SIGKILL'), limits.shutdownTermTimeoutMs));
    }, timeoutMs);
    this.#timers.push(terminate);
  }

  #programEnded(end: ProgramEnd): void {
    const durationMs = BigInt(Math.round(performance.now() - this.#startedAtMs));
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#timedOut) this.kill('SIGKILL'); // what it left behind is over time as well
    this.#groups.prune();
    const over = () => this.#over(end, durationMs);
    void this.#program.closed.then(over);
    this.#drain(drainSteps, over);
  }

  /**
   * Ends the wait for a pipe that a program left behind holds open. The time counts only while output is taken, and in
   * steps, between each of which the pipes are read: what was written before the end is in a pipe of bounded size and
   * gets through however slow the reader or the machine.
   */
  #drain(stepsLeft: number, done: () => void): void {
    if (this.#exited !== undefined) return;
    if (stepsLeft === 0) done();
    else setTimeout(() => this.#drain(this.#held ? stepsLeft : stepsLeft - 1, done), drainMs / drainSteps);
  }

  #over({ code, signal }: ProgramEnd, durationMs: bigint): void {
    if (this.#exited !== undefined) return;
    this.#exited = {
      exit: signal === null ? { $case: 'code', value: code ?? 0 } : { $case: 'signal', value: signal },
      timedOut: this.#timedOut,
      durationMs,
      stdoutBytes: BigInt(this.output.stdoutBytes),
      stderrBytes: BigInt(this.output.stderrBytes),
    };
    this.#end(this.#exited);
    for (const { wake } of this.#listeners) wake();
    this.flow();
  }
}

export const wrong = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));

const isSignal = (name: string): name is NodeJS.Signals => Object.hasOwn(constants.signals, name);
