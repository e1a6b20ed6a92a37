import { randomBytes } from 'node:crypto';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { errnoOf } from '../../kernel/errno.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import { limits } from '../../kernel/limits.ts';
import { readIfThere } from '../../os/files.ts';

/**
 * Control groups, version 2 (`unified`) and version 1 (one tree a controller), alone or side by side as the machine has
 * them. A box gets one directory in each tree that the service may write to, below the service's own group where that
 * is possible, so that what limits the service limits its boxes too.
 */
const trees = ['unified', 'memory', 'cpu', 'cpuacct', 'freezer', 'pids'] as const;
export type CgroupTree = (typeof trees)[number];

export const cgroupPathsSchema = z.partialRecord(z.enum(trees), z.string().startsWith('/'));
/** Directories by tree. */
export type CgroupPaths = Readonly<z.infer<typeof cgroupPathsSchema>>;

export interface CgroupHost {
  /** Directories in which a box's group can be made. */
  readonly parents: CgroupPaths;
  /** Controllers that groups made in `parents.unified` have. */
  readonly unifiedControllers: ReadonlySet<string>;
}

/** So many processes and threads a box may have: a runaway does not take the host's last pid. */
const processesMax = 4096;
const cpuPeriodUs = 100_000;
const cpuQuotaMinUs = 1_000;

/** Looks for the places where groups can be made, by making one and removing it. */
export const findCgroups = async (): Promise<CgroupHost> => {
  const own = await ownGroups();
  const parents: Partial<Record<CgroupTree, string>> = {};
  for (const tree of trees) {
    const directory = own[tree];
    if (tree !== 'unified' && directory !== undefined && (await controllersOfNew(directory)) !== undefined)
      parents[tree] = directory;
  }
  let unifiedControllers: ReadonlySet<string> = new Set();
  for (const directory of own.unified === undefined ? [] : upwards(own.unified, own.unifiedMount)) {
    const controllers = await controllersOfNew(directory);
    if (controllers === undefined) continue;
    if (parents.unified === undefined || controllers.has('memory')) {
      parents.unified = directory;
      unifiedControllers = controllers;
    }
    // A group with processes cannot hand controllers down; one above it can. With version 1 they are not here at all.
    if (controllers.has('memory') || parents.memory !== undefined) break;
  }
  return { parents, unifiedControllers };
};

/** Groups for one boot: their name is used once, so nothing is ever found in them that does not belong there. */
export const cgroupOf = (host: CgroupHost, boxId: BoxId, nonce: string): CgroupPaths =>
  Object.fromEntries(
    Object.entries(host.parents).map(([tree, parent]) => [tree, join(parent, `boxledger-${boxId}-${nonce}`)]),
  );

export const hasMemoryLimit = (host: CgroupHost): boolean =>
  host.parents.memory !== undefined || host.unifiedControllers.has('memory');
export const hasCpuLimit = (host: CgroupHost): boolean =>
  host.parents.cpu !== undefined || host.unifiedControllers.has('cpu');

/** Makes the groups and sets their limits. */
export const makeCgroup = async (
  group: CgroupPaths,
  bounds: { readonly cpus: number; readonly memoryMib: number },
): Promise<void> => {
  for (const directory of Object.values(group)) await mkdir(directory, { recursive: true });
  const memoryBytes = String(bounds.memoryMib * 1024 * 1024);
  const cpuQuotaUs = Math.max(cpuQuotaMinUs, Math.round(bounds.cpus * cpuPeriodUs));
  const { unified, memory, cpu, pids } = group;
  if (memory !== undefined) {
    await writeFile(join(memory, 'memory.limit_in_bytes'), memoryBytes);
    await writeIfThere(join(memory, 'memory.memsw.limit_in_bytes'), memoryBytes);
  }
  if (cpu !== undefined) {
    await writeFile(join(cpu, 'cpu.cfs_period_us'), String(cpuPeriodUs));
    await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(cpuQuotaUs));
  }
  if (pids !== undefined) await writeFile(join(pids, 'pids.max'), String(processesMax));
  if (unified !== undefined) {
    await writeIfThere(join(unified, 'memory.max'), memoryBytes);
    await writeIfThere(join(unified, 'memory.swap.max'), '0');
    await writeIfThere(join(unified, 'cpu.max'), `${cpuQuotaUs} ${cpuPeriodUs}`);
    await writeIfThere(join(unified, 'pids.max'), String(processesMax));
  }
};

/** Pids of all members; undefined when the box has no group, or none any more. */
export const membersOf = async (group: CgroupPaths): Promise<readonly number[] | undefined> => {
  const directory = tracking(group);
  const text = directory === undefined ? undefined : await readIfThere(join(directory, 'cgroup.procs'));
  return text?.split('\n').filter(Boolean).map(Number);
};

/** Whether the groups can stop execution as one; else each process has to be stopped by itself. */
export const canFreeze = (group: CgroupPaths): boolean =>
  group.unified !== undefined || group.freezer !== undefined;

export const isFrozen = async (group: CgroupPaths): Promise<boolean> =>
  group.unified !== undefined
    ? /^frozen 1$/m.test((await readIfThere(join(group.unified, 'cgroup.events'))) ?? '')
    : (await readIfThere(join(group.freezer ?? '', 'freezer.state')))?.trim() === 'FROZEN';

/** Returns once every member is frozen. One that cannot be frozen in time leaves all of them running. */
export const freezeGroup = async (group: CgroupPaths): Promise<void> => {
  const until = performance.now() + limits.freezeTimeoutMs;
  // Version 1 may have to be told again while processes are being born.
  do {
    await setFrozen(group, true);
    if (await isFrozen(group)) return;
    await delay(5);
  } while (performance.now() < until);
  await setFrozen(group, false);
  throw new BoxledgerError('DeadlineExceeded', `not frozen within ${limits.freezeTimeoutMs} ms`);
};

export const unfreezeGroup = async (group: CgroupPaths): Promise<void> => {
  await setFrozen(group, false);
  while (await isFrozen(group)) await delay(5);
};

/**
 * Sends SIGKILL to every member, frozen or not. Members that are signalled one by one are frozen meanwhile, so that no
 * pid can be used again between the look and the signal.
 */
export const killGroup = async (group: CgroupPaths): Promise<void> => {
  if (group.unified !== undefined && (await writeIfThere(join(group.unified, 'cgroup.kill'), '1'))) return;
  if (canFreeze(group)) await setFrozen(group, true);
  for (const pid of (await membersOf(group)) ?? []) kill(pid);
  if (canFreeze(group)) await setFrozen(group, false);
};

/** Removes empty groups; none there is success. */
export const removeCgroup = async (group: CgroupPaths): Promise<void> => {
  for (const directory of Object.values(group)) {
    for (let tries = 1; ; tries += 1) {
      try {
        await rmdir(directory);
        break;
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') break;
        // The last member may still be on its way out.
        if (errnoOf(error) !== 'EBUSY' || tries === 100) throw error;
        await delay(10);
      }
    }
  }
};

/** What the groups count; undefined for what they do not. */
export const groupUsage = async (
  group: CgroupPaths,
): Promise<{ readonly cpuMs: number | undefined; readonly memoryBytes: number | undefined }> => {
  const { unified, memory, cpuacct } = group;
  const stat = unified === undefined ? undefined : await readIfThere(join(unified, 'cpu.stat'));
  const usageUs = /^usage_usec (\d+)$/m.exec(stat ?? '')?.[1];
  const usageNs = cpuacct === undefined ? undefined : await readIfThere(join(cpuacct, 'cpuacct.usage'));
  const bytes =
    memory === undefined
      ? unified && (await readIfThere(join(unified, 'memory.current')))
      : await readIfThere(join(memory, 'memory.usage_in_bytes'));
  return {
    cpuMs:
      usageUs !== undefined
        ? Number(usageUs) / 1_000
        : usageNs === undefined
          ? undefined
          : Number(usageNs) / 1_000_000,
    memoryBytes: bytes === undefined ? undefined : Number(bytes),
  };
};

const tracking = (group: CgroupPaths): string | undefined =>
  group.unified ?? group.freezer ?? group.pids ?? group.memory ?? group.cpu ?? group.cpuacct;

const setFrozen = async (group: CgroupPaths, frozen: boolean): Promise<void> => {
  if (group.unified !== undefined)
    await writeIfThere(join(group.unified, 'cgroup.freeze'), frozen ? '1' : '0');
  else if (group.freezer !== undefined)
    await writeIfThere(join(group.freezer, 'freezer.state'), frozen ? 'FROZEN' : 'THAWED');
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
};

/** Files of a cgroup are not created: without the file the kernel has no such feature. */
const writeIfThere = async (path: string, text: string): Promise<boolean> => {
  try {
    await writeFile(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
};

/** Controllers of a group made in `parent`; undefined when none can be made there. */
const controllersOfNew = async (parent: string): Promise<ReadonlySet<string> | undefined> => {
  const probe = join(parent, `boxledger-probe-${randomBytes(6).toString('hex')}`);
  try {
    for (const controller of ['memory', 'cpu', 'pids'])
      await writeIfThere(join(parent, 'cgroup.subtree_control'), `+${controller}`).catch(() => false);
    await mkdir(probe);
    try {
      return new Set(((await readIfThere(join(probe, 'cgroup.controllers'))) ?? '').trim().split(' '));
    } finally {
      await rmdir(probe);
    }
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EEXIST', 'ENOSPC'].includes(errnoOf(error) ?? ''))
      return undefined;
    throw error;
  }
};

/** The service's own group in each tree, and where the unified tree is mounted. */
const ownGroups = async (): Promise<CgroupPaths & { readonly unifiedMount: string }> => {
  const [groups, mounts] = await Promise.all([
    readIfThere('/proc/self/cgroup'),
    readIfThere('/proc/self/mountinfo'),
  ]);
  const found: Partial<Record<CgroupTree, string>> = {};
  let unifiedMount = '/';
  for (const line of (mounts ?? '').split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '/', point = ''] = left.split(' ');
    const [type, , superOptions = ''] = right.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const controllers = type === 'cgroup2' ? [''] : superOptions.split(',');
    const own = (groups ?? '')
      .split('\n')
      .map((entry) => /^\d+:([^:]*):(.*)$/.exec(entry))
      .find((entry) => entry?.[1]?.split(',').some((name) => controllers.includes(name)));
    if (own?.[2] === undefined) continue;
    const below = own[2].startsWith(root) ? own[2].slice(root.length) : '';
    if (type === 'cgroup2') {
      found.unified = join(point, below);
      unifiedMount = point;
    } else for (const tree of trees) if (controllers.includes(tree)) found[tree] = join(point, below);
  }
  return { ...found, unifiedMount };
};

const upwards = (from: string, top: string): readonly string[] =>
  from === top || !from.startsWith(top) ? [from] : [from, ...upwards(dirname(from), top)];
