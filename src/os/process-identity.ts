import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { ProcessIdentity } from '../events/process.ts';
import { errnoOf } from '../kernel/errno.ts';
import { readIfThere } from './files.ts';

/**
 * Who a pid is. A pid alone names nobody for long: the system gives it to the next process that comes. So every signal
 * of ours goes through `signalProcess`, which first reads the start time again.
 */

const run = promisify(execFile);
const isLinux = process.platform === 'linux';

/** One line of `/proc/PID/stat`, as far as we need it. */
export interface ProcessStat {
  readonly pid: number;
  /** `R`, `S`, `D`, `T` (stopped), `Z` (dead, not yet reaped), … */
  readonly state: string;
  readonly parentPid: number;
  readonly sessionId: number;
  /** Processor time of the process itself, in clock ticks. */
  readonly cpuTicks: number;
  /** Clock ticks since the machine's boot. */
  readonly startTime: string;
}

/** Reads a stat line. The command's name, in parentheses, may hold anything, also `) `: fields count from the last one. */
export const parseStat = (line: string): ProcessStat | undefined => {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const pid = Number.parseInt(line, 10);
  const [state, parentPid, , sessionId] = fields;
  const startTime = fields[19]; // field 22 of proc(5); the state is field 3
  if (!Number.isInteger(pid) || state === undefined || startTime === undefined) return undefined;
  return {
    pid,
    state,
    parentPid: Number(parentPid),
    sessionId: Number(sessionId),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    startTime,
  };
};

/** Undefined when there is no such process. Linux only. */
export const readStat = async (pid: number): Promise<ProcessStat | undefined> => {
  const line = await readIfThere(`/proc/${pid}/stat`);
  return line === undefined ? undefined : parseStat(line);
};

/** The process that has `pid` now; undefined when none lives (one that only waits to be reaped does not). */
export const identify = async (pid: number): Promise<ProcessIdentity | undefined> => {
  const startTime = await startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime, bootId: await readBootId() };
};

/** Start time of a live process in the system's own unit, as the shim writes it too; undefined for none or a dead one. */
const startTimeOf = async (pid: number): Promise<string | undefined> => {
  if (isLinux) {
    const stat = await readStat(pid);
    return stat === undefined || isDead(stat) ? undefined : stat.startTime;
  }
  const shown = await ps(['-o', 'stat=,lstart=', '-p', String(pid)]);
  const [state, ...startTime] = shown.trim().split(/\s+/);
  return state === undefined || state === '' || state.startsWith('Z') ? undefined : startTime.join(' ');
};

/** Dead, but its parent has not asked how it ended. */
export const isDead = (stat: ProcessStat): boolean => stat.state === 'Z' || stat.state === 'X';

/** Names this boot of the machine. */
export const readBootId = async (): Promise<string> =>
  isLinux
    ? (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    : (await ps(['-o', 'lstart=', '-p', '1'])).trim().split(/\s+/).join(' ');

/** Whether the process still runs, and is the one that was meant. */
export const isAlive = async (identity: ProcessIdentity): Promise<boolean> =>
  identity.startTime === (await startTimeOf(identity.pid)) && identity.bootId === (await readBootId());

/** Sends the signal if the process is still the one that was meant; says whether it was. */
export const signalProcess = async (identity: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> => {
  if (!(await isAlive(identity))) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false; // it ended since
    throw error;
  }
};

export const sameProcess = (one: ProcessIdentity, other: ProcessIdentity): boolean =>
  one.pid === other.pid && one.startTime === other.startTime && one.bootId === other.bootId;

/** Output of `ps`, empty when it finds no such process. */
const ps = async (args: readonly string[]): Promise<string> => {
  try {
    return (await run('ps', args, { env: { ...process.env, LC_ALL: 'C' } })).stdout;
  } catch (error) {
    if ((error as { code?: unknown }).code === 1) return '';
    throw error;
  }
};
