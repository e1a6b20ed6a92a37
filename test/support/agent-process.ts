import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectGuest } from '../../src/guest/grpc-guest.ts';
import type { Guest } from '../../src/guest/guest.ts';

const root = join(import.meta.dirname, '../..');
export const agentBundle = join(root, 'dist/agent/agent.cjs');

/** Bundles the agent as it is in the sources now. Others who do the same at the same time are not disturbed. */
export const buildAgent = async (): Promise<void> => {
  await promisify(execFile)(process.execPath, [join(root, 'scripts/build.mjs'), 'agent']);
};

export interface TestAgent {
  readonly child: ChildProcess;
  readonly guest: Guest;
  readonly directory: string;
  readonly home: string;
  readonly socket: string;
  /** Resolves with the agent's exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Resident memory in MiB, now and at its highest. */
  memoryMib(): Promise<{ readonly now: number; readonly peak: number }>;
  stop(): Promise<void>;
}

/** Does not wait until it answers. */
export const startAgentAt = (socket: string, home: string, env: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [agentBundle, '--socket', socket], {
    env: { PATH: process.env['PATH'], HOME: home, USER: 'tester', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code, signal]): number | string => code ?? signal);
  return { child, ended };
};

/** The real agent as a process of its own, with a home of its own. */
export const startAgent = async (env: Record<string, string> = {}): Promise<TestAgent> => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-agent-'));
  const home = join(directory, 'home');
  await mkdir(home);
  const socket = join(directory, 'agent.sock');
  const { child, ended } = startAgentAt(socket, home, env);
  const guest = connectGuest(`unix:${socket}`);
  const stop = async () => {
    guest.close();
    child.kill('SIGCONT');
    child.kill('SIGTERM'); // so that it ends what it has started
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
    await rm(directory, { recursive: true, force: true });
  };
  const memoryMib = async () => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
    const kib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]);
    return { now: kib('VmRSS') / 1024, peak: kib('VmHWM') / 1024 };
  };
  try {
    await guest.ping(AbortSignal.timeout(60_000));
  } catch (error) {
    await stop();
    throw error;
  }
  return { child, guest, directory, home, socket, ended, memoryMib, stop };
};
