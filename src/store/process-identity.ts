import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type ProcessIdentity, processIdentitySchema } from '../events/process.ts';

const run = promisify(execFile);

/** The process that has `pid` now; undefined when none runs (one that only waits to be reaped does not run). */
export const identify = async (pid: number): Promise<ProcessIdentity | undefined> => {
  const startTime = process.platform === 'linux' ? await startTicks(pid) : await startedAt(pid);
  return startTime === undefined ? undefined : { pid, startTime, bootId: await bootId() };
};

export const isRunning = async (identity: ProcessIdentity): Promise<boolean> => {
  const now = await identify(identity.pid);
  return now?.startTime === identity.startTime && now.bootId === identity.bootId;
};

export const parseIdentity = (value: unknown): ProcessIdentity | undefined =>
  processIdentitySchema.safeParse(value).data;

/** Clock ticks between the machine's boot and the process's start: field 22 of proc_pid_stat(5). */
const startTicks = async (pid: number): Promise<string | undefined> => {
  const stat = await textOf(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses and may hold anything; state is the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
};

const startedAt = async (pid: number): Promise<string | undefined> => {
  try {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C' } });
    return stdout.trim() || undefined;
  } catch {
    return undefined; // ps ends with 1 when there is no such process
  }
};

/** Names the present boot. Where the system does not, start times are dates, which tell boots apart as well. */
const bootId = async (): Promise<string> =>
  (await textOf('/proc/sys/kernel/random/boot_id'))?.trim() ?? process.platform;

/** A file of /proc; undefined when its process ended, also while it was being read. */
const textOf = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined;
    throw error;
  }
};
