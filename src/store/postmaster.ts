import { execFile } from 'node:child_process';
import { readdir, readlink, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ProcessIdentity } from '../events/process.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { readIfThere } from '../os/files.ts';
import { identify, isAlive, signalProcess } from '../os/process-identity.ts';
import type { StoreLog } from './store-log.ts';

const run = promisify(execFile);

/** How long Postgres gets for each way of asking it to stop: at once with a checkpoint, at once without, and killed. */
const stopSteps = [
  { signal: 'SIGINT', waitMs: 60_000 },
  { signal: 'SIGQUIT', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;
const pollMs = 50;

/**
 * Ends every Postgres process that still works on the cluster in `directory`, left over from a server that was killed.
 * The postmaster is asked; the processes it may have left behind end by themselves once they notice.
 */
export const stopLeftOver = async (directory: string, log: StoreLog): Promise<void> => {
  for (const { signal, waitMs } of stopSteps) {
    const left = await processesOn(directory);
    if (left.length === 0) return;
    const pids = left.map(({ pid }) => pid);
    log.warn({ pids, signal }, 'a Postgres of an earlier server still runs; stopping it');
    const postmaster = await pidIn(`${directory}/postmaster.pid`);
    const addressees = left.filter(({ pid }) => signal !== 'SIGINT' || pid === postmaster);
    for (const identity of addressees) await signalProcess(identity, signal);
    if (await allEnd(left, waitMs)) return;
  }
  throw new BoxledgerError('Unavailable', `a Postgres that uses ${directory} does not stop`, {
    help: 'Stop it by hand.',
  });
};

/**
 * Removes lock files that name a pid which another program has by now: Postgres would take that one for itself and refuse
 * to start. One whose pid nobody has is left to Postgres, which checks more. Only for when `processesOn` finds none.
 */
export const removeStaleLocks = async (lockFiles: readonly string[]): Promise<void> => {
  for (const file of lockFiles) {
    const pid = await pidIn(file);
    if (pid !== undefined && (await identify(pid)) !== undefined) await rm(file);
  }
};

/** First line of a lock file of Postgres: its pid, negative for a stand-alone backend. */
export const pidIn = async (lockFile: string): Promise<number | undefined> => {
  const pid = Math.abs(Number.parseInt((await readIfThere(lockFile)) ?? '', 10));
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
};

const allEnd = async (identities: readonly ProcessIdentity[], waitMs: number): Promise<boolean> => {
  const until = performance.now() + waitMs;
  for (;;) {
    const running = await Promise.all(identities.map(isAlive));
    if (!running.includes(true)) return true;
    if (performance.now() > until) return false;
    await sleep(pollMs);
  }
};

/** Every Postgres process works in its cluster's directory. Where that cannot be seen, only the postmaster is found. */
const processesOn = async (directory: string): Promise<readonly ProcessIdentity[]> => {
  const pids = process.platform === 'linux' ? await pidsInProc(directory) : await pidOfCommand(directory);
  const identities = await Promise.all(pids.map(identify));
  return identities.filter((identity) => identity !== undefined);
};

const pidsInProc = async (directory: string): Promise<readonly number[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const matches = await Promise.all(
    pids.map(async (pid) => {
      try {
        if ((await readlink(`/proc/${pid}/cwd`)) !== directory) return [];
        // " (deleted)" follows the path of a program that was installed anew meanwhile.
        return /^postgres( \(deleted\))?$/.test(basename(await readlink(`/proc/${pid}/exe`))) ? [pid] : [];
      } catch {
        return []; // it ended, is a kernel thread, or belongs to somebody else
      }
    }),
  );
  return matches.flat();
};

const pidOfCommand = async (directory: string): Promise<readonly number[]> => {
  const pid = await pidIn(`${directory}/postmaster.pid`);
  if (pid === undefined) return [];
  try {
    const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]);
    return stdout.includes(directory) ? [pid] : [];
  } catch {
    return []; // ps ends with 1 when there is no such process
  }
};
