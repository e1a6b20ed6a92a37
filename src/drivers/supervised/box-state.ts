import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exit, ProcessIdentity } from '../../events/process.ts';
import { errnoOf } from '../../kernel/errno.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import { isAlive, readBootId, signalProcess } from '../../os/process-identity.ts';
import {
  type BootRecord,
  killedStatus,
  readBootRecord,
  readExit,
  readIdentity,
  revokeTicket,
  settleExit,
} from './boot-record.ts';
import { removeCgroup } from './cgroup.ts';
import { isThere, removeTree } from './files.ts';
import type { BoxLayout } from './layout.ts';
import { lifelineBroken } from './lifeline.ts';
import { type BoxProcesses, killMembers } from './members.ts';
import { discardMemory, readSuspension, type SuspensionRecord } from './suspension.ts';

/**
 * What a box is found to be, and its end. Everything here is called by one at a time for a box, and may find what a
 * service that was killed at any moment left.
 */
export type BoxState =
  /** Never booted, or what was begun never came to run. */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'up';
      readonly record: BootRecord;
      readonly processes: BoxProcesses;
      /** What the log knows it by. */
      readonly process: ProcessIdentity;
    }
  /** Nothing of it runs, and it goes on from its memory when it is unfrozen. */
  | { readonly kind: 'suspended'; readonly record: SuspensionRecord }
  | { readonly kind: 'ended'; readonly record: BootRecord; readonly exit: Exit };

/** A shim takes a few milliseconds from its ticket to its box, and from the box's end to saying so. */
const shimTimeoutMs = 10_000;
const killTimeoutMs = 10_000;

/** Finds out what has become of the box; a boot that hangs between being asked for and running comes to nothing. */
export const settle = async (boxId: BoxId, box: BoxLayout): Promise<BoxState> => {
  const suspended = await readSuspension(box);
  if (suspended === undefined) return settleRun(boxId, box);
  // What was suspended and not ended yet, or was about to go on: its memory is what counts.
  await endRun(boxId, box);
  return { kind: 'suspended', record: suspended };
};

const settleRun = async (boxId: BoxId, box: BoxLayout): Promise<Exclude<BoxState, { kind: 'suspended' }>> => {
  const record = await readBootRecord(box);
  if (record === undefined) return { kind: 'none' };
  const attempt = box.attempt(record.nonce);
  const revoked = await revokeTicket(attempt);
  const shim = await readIdentity(attempt.shim, record.bootId);
  if (revoked || shim === undefined) {
    await removeTrace(box, record);
    return { kind: 'none' };
  }
  const until = performance.now() + shimTimeoutMs;
  for (;;) {
    // In this order: a shim that is gone now has said all that it will ever say.
    const shimLives = await isAlive(shim);
    const main = await readIdentity(attempt.main, record.bootId);
    const exit = await readExit(attempt);
    const processes = { boxId, record, shim, main: main ?? shim, disk: box.disk };
    // A shim that was killed has not said how its box ended, and nobody else saw it.
    if (exit !== undefined || !shimLives)
      return { kind: 'ended', record, exit: await finish(box, processes, 'unknown') };
    if (main !== undefined && (await isAlive(main)))
      return { kind: 'up', record, processes, process: record.knownAs ?? main };
    if (performance.now() > until) throw stuck(boxId, 'its shim neither starts it nor says how it ended');
    await delay(5);
  }
};

/** Ends whatever there is of the box; afterwards only its disk, its console and how it ended are left. */
export const endBox = async (boxId: BoxId, box: BoxLayout): Promise<void> => {
  await discardMemory(box);
  await endRun(boxId, box);
};

/** The same of what runs; a memory that is on disk stays. */
export const endRun = async (boxId: BoxId, box: BoxLayout): Promise<void> => {
  const state = await settleRun(boxId, box);
  if (state.kind === 'up') await finish(box, state.processes, killedStatus);
};

/** Sees to it that nothing of the box runs, and that how it ended is known: `status` unless the shim says it. */
const finish = async (
  box: BoxLayout,
  processes: BoxProcesses,
  status: Parameters<typeof settleExit>[1],
): Promise<Exit> => {
  const { record } = processes;
  const attempt = box.attempt(record.nonce);
  const before = await readExit(attempt);
  // The lifeline is cleared away last: without it, all of this has been done.
  if (before !== undefined && !(await isThere(attempt.lifeline))) return before;
  if (record.bootId === (await readBootId())) {
    await killUntilNone(processes);
    await endOfShim(processes, attempt.lifeline);
  }
  const exit = await settleExit(attempt, status);
  await removeCgroup(record.cgroup);
  await clearAway(box, record);
  return exit;
};

/** Removes everything of a boot that came to nothing. */
export const removeTrace = async (box: BoxLayout, record: BootRecord): Promise<void> => {
  await removeCgroup(record.cgroup);
  await removeTree(box.run);
};

/** Removes attempts before the given ones. */
export const removeAttempts = async (
  box: BoxLayout,
  except: readonly (string | undefined)[],
): Promise<void> => {
  const entries = await readdir(box.run, { withFileTypes: true });
  for (const entry of entries)
    if (entry.isDirectory() && !except.includes(entry.name)) await removeTree(join(box.run, entry.name));
};

const clearAway = async (box: BoxLayout, record: BootRecord): Promise<void> => {
  const attempt = box.attempt(record.nonce);
  const last = [
    attempt.shim,
    attempt.main,
    attempt.exit,
    attempt.claimed,
    attempt.shimErrors,
    ...attempt.console,
  ];
  for (const socket of box.sockets) await removeTree(socket);
  for (const name of await entriesOf(attempt.directory)) {
    const path = join(attempt.directory, name);
    if (!last.includes(path) && path !== attempt.lifeline) await removeTree(path);
  }
  await removeTree(attempt.lifeline);
};

const killUntilNone = async (processes: BoxProcesses): Promise<void> => {
  const until = performance.now() + killTimeoutMs;
  while (await killMembers(processes)) {
    if (performance.now() > until) throw stuck(processes.boxId, 'its processes outlive SIGKILL');
    await delay(5);
  }
};

/** The shim ends by itself once it has said how the box ended. */
const endOfShim = async ({ shim }: BoxProcesses, lifeline: string): Promise<void> => {
  const timeout = AbortSignal.timeout(shimTimeoutMs);
  try {
    await lifelineBroken(lifeline, timeout);
  } catch (error) {
    if (!timeout.aborted) throw error;
  }
  if (await signalProcess(shim, 'SIGKILL')) while (await isAlive(shim)) await delay(5);
};

const stuck = (boxId: BoxId, how: string) =>
  new BoxledgerError('Unavailable', `box ${boxId} is stuck: ${how}`, {
    help: 'Look at the processes of its run directory; the same call may be made again.',
  });

const entriesOf = async (directory: string): Promise<readonly string[]> => {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
};
