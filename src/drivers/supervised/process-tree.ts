import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ProcessIdentity } from '../../events/process.ts';
import { errnoOf } from '../../kernel/errno.ts';
import { readIfThere } from '../../os/files.ts';
import { isDead, readStat } from '../../os/process-identity.ts';

/**
 * Which processes a box has, where no cgroup says so: the descendants of its outermost process, and, where no pid
 * namespace keeps orphans among them, whoever shares the shim's session or carries the box's mark in its environment.
 */
export interface TreeQuery {
  /** See `marksOf`. */
  readonly marks: readonly string[];
  readonly main: ProcessIdentity;
  readonly shim: ProcessIdentity;
  /** A pid namespace of the box's own makes its init the parent of all orphans. */
  readonly ownPidNamespace: boolean;
}

export interface ListedProcess {
  readonly identity: ProcessIdentity;
  readonly parentPid: number;
  /** Session on Linux, else process group. */
  readonly sessionId: number;
  readonly stopped: boolean;
  readonly cpuTicks: number;
}

/** Environment variable that names the boot which a process belongs to. */
export const bootMark = 'BOXLEDGER_BOOT';

/**
 * Entries that show in the environment of a process without namespaces whose box it is of: the agent has the first, and
 * programs that it starts have at least the second, unless they took it off.
 */
export const marksOf = (nonce: string, disk: string): readonly string[] => [
  `${bootMark}=${nonce}`,
  `HOME=${disk}`,
];

/** The live processes of the box, its outermost one included, the shim and its helpers not. */
export const treeOf = async (query: TreeQuery): Promise<readonly ListedProcess[]> => {
  const all = (await listProcesses(query.main.bootId)).filter(({ identity }) => identity.pid !== process.pid);
  const members = new Set<number>();
  const isListed = ({ pid, startTime }: ProcessIdentity) =>
    all.some(({ identity }) => identity.pid === pid && identity.startTime === startTime);
  // The number of a session whose leader is gone may be that of another session by now.
  const session = isListed(query.shim) ? query.shim.pid : undefined;
  if (isListed(query.main)) members.add(query.main.pid);
  if (!query.ownPidNamespace)
    for (const { identity, parentPid, sessionId } of all) {
      if (identity.pid === session || parentPid === session) continue;
      if (sessionId === session || (await hasMark(identity.pid, query.marks))) members.add(identity.pid);
    }
  // Parents may come after their children in the list.
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const { identity, parentPid } of all) if (members.has(parentPid)) members.add(identity.pid);
  }
  return all.filter(({ identity }) => members.has(identity.pid));
};

/** Looks at the given processes only. */
export const lookAt = async (pids: readonly number[], bootId: string): Promise<readonly ListedProcess[]> => {
  const found: ListedProcess[] = [];
  for (const pid of pids) {
    const stat = await readStat(pid);
    if (stat === undefined || isDead(stat)) continue;
    found.push({
      identity: { pid, startTime: stat.startTime, bootId },
      parentPid: stat.parentPid,
      sessionId: stat.sessionId,
      stopped: stat.state === 'T',
      cpuTicks: stat.cpuTicks,
    });
  }
  return found;
};

/**
 * Whether the process only holds the box together: the wrapper outside of the box's pid namespace, or the init in it. A
 * request to end is not for them: they end when the program does, and the box with them.
 */
export const isScaffold = async (pid: number): Promise<boolean> => {
  const status = (await readIfThere(join('/proc', String(pid), 'status'))) ?? '';
  const pids = /^NSpid:\s+(.+)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  return pids.length < 2 || pids.at(-1) === '1';
};

const listProcesses = async (bootId: string): Promise<readonly ListedProcess[]> => {
  if (process.platform !== 'linux') return listByPs(bootId);
  const entries = await readdir('/proc');
  return lookAt(entries.filter((entry) => /^\d+$/.test(entry)).map(Number), bootId);
};

const listByPs = async (bootId: string): Promise<readonly ListedProcess[]> => {
  const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,ppid=,pgid=,stat=,lstart='], {
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parentPid, group, state, ...startTime] = line.trim().split(/\s+/);
    if (pid === undefined || pid === '' || state === undefined || state.startsWith('Z')) return [];
    return {
      identity: { pid: Number(pid), startTime: startTime.join(' '), bootId },
      parentPid: Number(parentPid),
      sessionId: Number(group),
      stopped: state.startsWith('T'),
      cpuTicks: 0,
    };
  });
};

const hasMark = async (pid: number, marks: readonly string[]): Promise<boolean> => {
  try {
    const environment = await readIfThere(join('/proc', String(pid), 'environ'));
    return environment?.split('\0').some((entry) => marks.includes(entry)) === true;
  } catch (error) {
    if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM') return false; // another user's: not a box of ours
    throw error;
  }
};
