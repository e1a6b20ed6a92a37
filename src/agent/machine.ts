import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
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

/** The machine that the agent has to itself. Its own programs lie below `directory`, and are not the box's to change. */
export class Machine implements FileSystemFreezer {
  readonly #directory: string;
  readonly #configuring: (input: Buffer) => Promise<void>;
  #configured: Promise<void> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    // Before it is needed: to start a program is the slowest part of becoming a box.
    this.#configuring = this.#start('configure');
  }

  /** Once. Asked for again, only the clock is set. */
  async configure(identity: MachineIdentity): Promise<void> {
    const first = this.#configured === undefined;
    this.#configured ??= this.#configure(identity);
    await this.#configured;
    if (!first) await this.setClock(identity.unixTimeMs);
  }

  async #configure({ hostname: name, unixTimeMs, seed, machineId }: MachineIdentity): Promise<void> {
    // Before anything that could draw a random number for the box.
    await this.#configuring(settings(unixTimeMs, seed));
    await writeFile('/proc/sys/kernel/hostname', name);
    await writeFile('/etc/hostname', `${name}\n`);
    await writeFile('/etc/machine-id', `${machineId}\n`);
    if (hostname() !== name) throw new BoxledgerError('Internal', 'the machine did not take its name');
  }

  /** Where it is off by more than a moment. */
  async setClock(unixTimeMs: number): Promise<void> {
    if (Math.abs(Date.now() - unixTimeMs) < clockSlackMs) return;
    await this.#start('set-clock')(settings(unixTimeMs));
  }

  async freeze(): Promise<{ readonly frozen: boolean; readonly detail: string }> {
    await this.#busybox('sync');
    try {
      await this.#busybox('fsfreeze', '--freeze', disk);
    } catch (error) {
      if (!isFrozenAlready(error))
        return { frozen: false, detail: `The file system was flushed, but not frozen: ${messageOf(error)}` };
    }
    return { frozen: true, detail: 'The file system was flushed and frozen (fsfreeze).' };
  }

  async thaw(): Promise<void> {
    try {
      await this.#busybox('fsfreeze', '--unfreeze', disk);
    } catch (error) {
      if (!isThawedAlready(error)) throw error;
    }
  }

  /** The agent was told to end, and the machine is to end with it. Node would wait for the port, which is being read. */
  end(): never {
    writeFileSync(ended, '');
    process.kill(process.pid, 'SIGKILL');
    throw new Error('not reached');
  }

  async #busybox(...args: readonly string[]): Promise<void> {
    await promisify(execFile)(`${this.#directory}/busybox`, [...args]);
  }

  /** Starts a program of the machine's, which waits for its input; what is returned gives that, and waits for its end. */
  #start(program: string): (input: Buffer) => Promise<void> {
    const running = promisify(execFile)(`${this.#directory}/${program}`);
    running.child.stdin?.on('error', () => undefined); // its exit code tells
    running.catch(() => undefined); // told to whoever waits for its end
    return async (input) => {
      running.child.stdin?.end(input);
      try {
        await running;
      } catch (error) {
        throw new BoxledgerError('Internal', `${program} failed in the machine: ${messageOf(error)}`, {
          details: { step: (error as { readonly code?: number | string }).code ?? null },
        });
      }
    };
  }
}

const disk = '/run/boxledger/disk';
/** Whoever started the agent looks whether it is there. */
const ended = '/run/boxledger/ended';
const clockSlackMs = 500;

/** EBUSY and EINVAL, as fsfreeze(8) says them. */
const isFrozenAlready = (error: unknown) => /resource busy/i.test(messageOf(error));
const isThawedAlready = (error: unknown) => /invalid argument/i.test(messageOf(error));

/** Clock, and random bytes for the kernel, as the program `set-machine` takes them. */
const settings = (unixTimeMs: number, seed: Uint8Array = new Uint8Array()): Buffer => {
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(Math.floor(unixTimeMs / 1_000)), 0);
  time.writeBigInt64LE(BigInt(Math.floor(unixTimeMs % 1_000) * 1_000_000), 8);
  return Buffer.concat([time, seed]);
};

const messageOf = (error: unknown): string => {
  const { stderr, message } = error as { readonly stderr?: string; readonly message?: string };
  return (stderr?.trim() || message || String(error)).slice(0, 500);
};
