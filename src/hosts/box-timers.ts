import type { BoxView } from '../events/box-view.ts';
import type { BoxCommand } from '../events/commands.ts';
import { msOf } from '../kernel/time.ts';

/** What a box's own limits ask for, and when. Times are milliseconds since 1970. */
export interface Due {
  readonly what: 'pause-over' | 'lifetime-over' | 'idle';
  /** `Infinity`: not as long as the box is in use. */
  readonly atMs: number;
  readonly command: Extract<BoxCommand, { type: 'box.resume' | 'box.stop' }>;
  /** In words, for the event. */
  readonly reason: string;
}

/** When an exec or a copy last went on in a box. */
export type LastUse = number | 'in-use';

/**
 * The next thing that is due of a box, if its options or its pause set it a limit. Computed from the fold and from the
 * box's use alone, so whoever takes a box over comes to the same moments as whoever had it before.
 */
export const nextDue = (view: BoxView, lastUse: LastUse): Due | undefined =>
  [pauseOver(view), lifetimeOver(view), idle(view, lastUse)]
    .filter((due) => due !== undefined)
    .sort((one, other) => one.atMs - other.atMs)[0];

const pauseOver = ({ boxId, state, pause }: BoxView): Due | undefined => {
  if (state !== 'paused' || pause === null || pause.until === null) return undefined;
  const atMs = msOf(pause.until);
  return {
    what: 'pause-over',
    atMs,
    command: { type: 'box.resume', boxId },
    reason: `paused for ${inSeconds(atMs - msOf(pause.since))}, as long as the pause was to last`,
  };
};

/** A pause does not stop the clock of a lifetime. */
const lifetimeOver = ({ boxId, state, startedAt, options }: BoxView): Due | undefined => {
  const { maxLifetimeMs } = options;
  if (maxLifetimeMs === undefined || !isUp(state) || startedAt === null) return undefined;
  return {
    what: 'lifetime-over',
    atMs: msOf(startedAt) + maxLifetimeMs,
    command: { type: 'box.stop', boxId },
    reason: `up for ${inSeconds(maxLifetimeMs)}, its maximum lifetime`,
  };
};

/**
 * What is done to its disk keeps a box from being idle; nobody waits for a paused one to be used, and a resume counts as a use:
 * to wait for one from before the pause on would be to stop the box as soon as it is resumed.
 */
const idle = (view: BoxView, lastUse: LastUse): Due | undefined => {
  const { boxId, state, startedAt, resumedAt, operation, options } = view;
  const { idleTimeoutMs } = options;
  if (idleTimeoutMs === undefined || state !== 'running' || startedAt === null) return undefined;
  const inUse = lastUse === 'in-use' || operation !== null;
  return {
    what: 'idle',
    atMs: inUse
      ? Number.POSITIVE_INFINITY
      : Math.max(msOf(startedAt), msOf(resumedAt ?? startedAt), lastUse) + idleTimeoutMs,
    command: { type: 'box.stop', boxId },
    reason: `idle for ${inSeconds(idleTimeoutMs)}: no exec or copy ran in it`,
  };
};

const isUp = (state: BoxView['state']): boolean => state === 'running' || state === 'paused';

const inSeconds = (ms: number): string => `${ms / 1000} s`;
