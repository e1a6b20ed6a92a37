import { readdir, readFile } from 'node:fs/promises';

/**
 * Ids of the process groups that have a member which is not a zombie; undefined in a box without /proc. A signal finds
 * zombies too, and in a box whose first process does not reap them they stay for ever.
 */
export const runningGroups = async (): Promise<ReadonlySet<number> | undefined> => {
  try {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    if (pids.length === 0) return undefined;
    const groups = await Promise.all(pids.map(groupOfRunning));
    return new Set(groups.filter((group) => group !== undefined));
  } catch {
    return undefined;
  }
};

const groupOfRunning = async (pid: string): Promise<number | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ''); // it may have ended meanwhile
  const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold anything
  return state === 'Z' || state === 'X' || group === undefined ? undefined : Number(group);
};
