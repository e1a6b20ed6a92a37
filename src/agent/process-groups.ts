import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../kernel/errno.ts';
import { runningGroups } from './process-table.ts';

/** How often to look whether a group is gone: for processes that are not our children there is no event. */
const pollMs = 20;
/** How long to wait for a group after SIGKILL: what is still there then waits for its disk, or is a zombie. */
const reapMs = 500;

/**
 * The process groups that execs started, each until its last member is gone: a program may leave others behind, and
 * those have to end with the box. A group's id cannot be taken by another process as long as the group has a member.
 */
export class ProcessGroups {
  readonly #ids = new Set<number>();

  add(id: number): void {
    this.#ids.add(id);
  }

  /** To be called when a group's leader has ended: forgets every group that is empty, before its id is used again. */
  prune(): void {
    for (const id of this.#ids) if (!reaches(id, 0)) this.#ids.delete(id);
  }

  /** Sends a signal to each member, if there is one left. */
  signal(id: number, signal: NodeJS.Signals): void {
    if (this.#ids.has(id)) reaches(id, signal);
  }

  /**
   * SIGTERM to all, SIGKILL to those that are there after the grace, which `graceOver` may cut short. Resolves with the
   * number of groups that needed SIGKILL.
   */
  async endAll(graceMs: number, graceOver: AbortSignal): Promise<number> {
    for (const id of this.#ids) this.signal(id, 'SIGTERM');
    await this.#allGone(graceMs, graceOver);
    const killed = this.#ids.size;
    for (const id of this.#ids) this.signal(id, 'SIGKILL');
    await this.#allGone(reapMs);
    return killed;
  }

  async #allGone(withinMs: number, over?: AbortSignal): Promise<void> {
    const end = performance.now() + withinMs;
    for (;;) {
      this.prune();
      const running = this.#ids.size === 0 ? undefined : await runningGroups();
      if (running !== undefined) for (const id of this.#ids) if (!running.has(id)) this.#ids.delete(id);
      if (this.#ids.size === 0 || performance.now() >= end || over?.aborted === true) return;
      await delay(pollMs);
    }
  }
}

/** Sends a signal to each member of a group; 0 only looks. False when there is no member. */
const reaches = (id: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(-id, signal);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false;
    if (errnoOf(error) === 'EPERM') return true; // a member has become another user
    throw error;
  }
};
