import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { BoxledgerError } from '../kernel/errors.ts';
import type { FileSystemFreezer } from './quiescence.ts';

/** What the host tells a machine of the box that it is to be. */
export interface MachineIdentity {
  readonly hostname: string;
  /** In milliseconds since 1970. */
  readonly unixTimeMs: number;
  readonly seed: Uint8Array;
  readonly machineId: string;
}

/** Programs of the machine's; what each takes, machine-programs.ts says. */
type Program = 'attach-disk' | 'configure' | 'set-clock' | 'freeze' | 'thaw';

/** The machine that the agent has to itself. Its own programs lie below `directory`, and are not the box's to change. */
export class Machine implements FileSystemFreezer {
  readonly #directory: string;
  /** Started before they are needed: that is the slowest part of what they do. */
  readonly #waiting = new Map<Program, (input: Buffer) => Promise<number>>();
  #attached: Promise<void> | undefined;
  #configured: Promise<void> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    for (const program of ['attach-disk', 'configure', 'freeze', 'thaw'] as const) this.#prepare(program);
  }

  attachDisk(): Promise<void> {
    this.#attached ??= this.#run('attach-disk', Buffer.alloc(1));
    return this.#attached;
  }

  /** Once. Asked for again, only the clock is set. */
  async configure(identity: MachineIdentity): Promise<void> {
    const first = this.#configured === undefined;
    this.#configured ??= this.#configure(identity);
    await this.#configured;
    if (!first) await this.setClock(identity.unixTimeMs);
  }

  async #configure({ hostname, unixTimeMs, seed, machineId }: MachineIdentity): Promise<void> {
    await this.attachDisk();
    const name = Buffer.alloc(hostnameBytes);
    name.write(hostname);
    await this.#run(
      'configure',
      Buffer.concat([timeOf(unixTimeMs), seed, name, Buffer.from(`${machineId}\n`)]),
    );
    await writeFile('/etc/hostname', `${hostname}\n`);
  }

  /** Where it is off by more than a moment. */
  async setClock(unixTimeMs: number): Promise<void> {
    if (Math.abs(Date.now() - unixTimeMs) >= clockSlackMs) await this.#run('set-clock', timeOf(unixTimeMs));
  }

  /** Freezing flushes. */
  async freeze(): Promise<{ readonly frozen: boolean; readonly detail: string }> {
    try {
      await this.#run('freeze', Buffer.alloc(1));
      return { frozen: true, detail: 'The file system was flushed and frozen.' };
    } catch (error) {
      return { frozen: false, detail: `The file system was not frozen: ${(error as Error).message}` };
    }
  }

  /** Of a machine that has no disk yet: success. */
  async thaw(): Promise<void> {
    if (existsSync(disk)) await this.#run('thaw', Buffer.alloc(1));
  }

  /** The agent was told to end, and the machine is to end with it. Node would wait for the port, which is being read. */
  end(): never {
    writeFileSync(ended, '');
    process.kill(process.pid, 'SIGKILL');
    throw new Error('not reached');
  }

  async #run(program: Program, input: Buffer): Promise<void> {
    const go = this.#waiting.get(program) ?? this.#start(program);
    this.#waiting.delete(program);
    const code = await go(input);
    // It can be asked for again but `configure`; not now, when somebody waits for an answer.
    if (program === 'freeze' || program === 'thaw') setTimeout(() => this.#prepare(program), prepareAfterMs);
    if (code !== 0)
      throw new BoxledgerError('Internal', `${program} failed in the machine, at step ${code}`, {
        details: { code },
      });
  }

  #prepare(program: Program): void {
    if (!this.#waiting.has(program)) this.#waiting.set(program, this.#start(program));
  }

  /** Starts the program, which waits for its input; what is returned gives that, and its exit code or `notStarted`. */
  #start(program: Program): (input: Buffer) => Promise<number> {
    const child = this.#spawn(program);
    child?.stdin?.on('error', () => undefined); // its exit code tells
    const exited = new Promise<number>((resolve) => {
      if (child === undefined) resolve(notStarted);
      child?.once('exit', (code) => resolve(code ?? notStarted));
      child?.once('error', () => resolve(notStarted));
    });
    return (input) => {
      child?.stdin?.end(input);
      return exited;
    };
  }

  /** Undefined where there is no room for another process: that is no reason for the agent to end. */
  #spawn(program: Program): ChildProcess | undefined {
    try {
      return spawn(`${this.#directory}/${program}`, { stdio: ['pipe', 'ignore', 'ignore'] });
    } catch (error) {
      console.error(`${program} could not be started:`, error);
      return undefined;
    }
  }
}

const disk = '/run/boxledger/disk';
/** Whoever started the agent looks whether it is there. */
const ended = '/run/boxledger/ended';
const clockSlackMs = 500;
const prepareAfterMs = 1_000;
const hostnameBytes = 64;
const notStarted = 255;

const timeOf = (unixTimeMs: number): Buffer => {
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(Math.floor(unixTimeMs / 1_000)), 0);
  time.writeBigInt64LE(BigInt(Math.floor(unixTimeMs % 1_000) * 1_000_000), 8);
  return time;
};
