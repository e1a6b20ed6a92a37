import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exit } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import { isAlive, readBootId, signalProcess } from '../process-identity.ts';
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
import { errnoOf, removeTree } from './files.ts';
import type { BoxLayout } from './layout.ts';
import { lifelineBroken } from './lifeline.ts';
import { type BoxProcesses, killMembers } from './members.ts';

/**
 * What a box is found to be, and its end. Everything here is called by one at a time for a box, and may find what a
 * service that was killed at any moment left.
 */
export type BoxState =
  /** Never booted, or what was begun never came to run. */
  | { readonly kind: 'none' }
  | { readonly kind: 'up'; readonly record: BootRecord; readonly processes: BoxProcesses }
  | { readonly kind: 'ended'; readonly record: BootRecord; readonly exit: Exit };

/** A shim takes a few milliseconds from its ticket to its box, and from the box's end to saying so. */
const shimTimeoutMs = 10_000;
const killTimeoutMs = 10_000;

/** Finds out what has become of the box; a boot that hangs between being asked for and running comes to nothing. */
export const settle = async (boxId: BoxId, box: BoxLayout): Promise<BoxState> => {
  const record = await readBootRecord(box);
  if (record === undefined) return { kind: 'none' };
  const attempt = box.attempt(record.nonce);
  const ended = (exit: Exit): BoxState => ({ kind: 'ended', record, exit });

  const revoked = await revokeTicket(attempt);
  const shim = await readIdentity(attempt.shim, record.bootId);
  if (revoked || shim === undefined) {
    await removeTrace(box, record);
    return { kind: 'none' };
  }
  if (record.bootId !== (await readBootId())) return ended(await settleExit(attempt, 'unknown'));
  const until = performance.now() + shimTimeoutMs;
  for (;;) {
    // In this order: a shim that is gone now has said all that it will ever say.
    const shimLives = await isAlive(shim);
    const main = await readIdentity(attempt.main, record.bootId);
    const exit = await readExit(attempt);
    if (exit !== undefined) return ended(exit);
    const processes = { boxId, record, shim, main: main ?? shim };
    if (!shimLives) {
      // The box dies with its shim; whatever did not is ended here. Nobody saw how.
      await killUntilNone(processes);
      return ended(await settleExit(attempt, 'unknown'));
    }
    if (main !== undefined && (await isAlive(main))) return { kind: 'up', record, processes };
    if (performance.now() > until) throw stuck(boxId, 'its shim neither starts it nor says how it ended');
    await delay(5);
  }
};

/** Ends whatever runs of the box; afterwards only its disk, its console and how it ended are left. */
export const endBox = async (boxId: BoxId, box: BoxLayout): Promise<void> => {
  const state = await settle(boxId, box);
  if (state.kind === 'none') return;
  const { record } = state;
  const attempt = box.attempt(record.nonce);
  if (state.kind === 'up') {
    await killUntilNone(state.processes);
    await endOfShim(state.processes, attempt.lifeline);
    await settleExit(attempt, killedStatus);
  } else if (record.bootId === (await readBootId())) {
    const shim = await readIdentity(attempt.shim, record.bootId);
    const main = await readIdentity(attempt.main, record.bootId);
    if (shim !== undefined) {
      const processes = { boxId, record, shim, main: main ?? shim };
      await killUntilNone(processes);
      await endOfShim(processes, attempt.lifeline);
    }
  }
  await removeCgroup(record.cgroup);
  await clearAway(box, record);
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
  const keep = [
    attempt.shim,
    attempt.main,
    attempt.exit,
    attempt.claimed,
    attempt.shimErrors,
    ...attempt.console,
  ];
  await removeTree(box.socket);
  for (const name of await entriesOf(attempt.directory)) {
    const path = join(attempt.directory, name);
    if (!keep.includes(path)) await removeTree(path);
  }
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
