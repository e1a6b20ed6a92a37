import type { Placement } from '../../events/box-events.ts';
import type { Exit } from '../../events/process.ts';
import { assert } from '../../kernel/assert.ts';
import { limits } from '../../kernel/limits.ts';
import { msOf, type Timestamp } from '../../kernel/time.ts';
import { propose } from '../chart.ts';
import type { BoxDraft } from './box-case.ts';
import type { BoxContext } from './box-context.ts';
import { takeBoxEvent } from './box-state.ts';
import { bootTimeoutMs, diskRemoveTimeoutMs, restartDelayMs } from './box-timeouts.ts';

/** What follows in the same append on a run that ended by itself: a restart, the removal, or nothing. */
export const afterExit = (draft: BoxDraft, exit: Exit, placement: Placement): BoxDraft => {
  const box = contextOf(draft);
  const attempt = nextRestart(box, exit, draft.context.now);
  return attempt === undefined ? afterStop(draft, placement) : startAgain(draft, placement, attempt);
};

/** A restart that failed counts like one that ended at once; a start that somebody asked for is not repeated. */
export const afterFailedStart = (draft: BoxDraft): BoxDraft => {
  const box = contextOf(draft);
  if (box.restarts === 0) return draft;
  const attempt = box.restarts + 1;
  assert(box.placement !== null, `${box.boxId} was started nowhere`);
  return allows(box, attempt) ? startAgain(draft, box.placement, attempt) : draft;
};

/** What the box was asked for besides its stop, or its options ask for after every run. */
export const afterStop = (draft: BoxDraft, placement: Placement): BoxDraft => {
  const { goal, options } = contextOf(draft);
  if (goal === 'restart') return startAgain(draft, placement);
  return goal === 'remove' || options.autoRemove ? thenRemoved(draft) : draft;
};

const thenRemoved = (draft: BoxDraft): BoxDraft => {
  const data = { timeoutMs: diskRemoveTimeoutMs, force: contextOf(draft).goal === 'remove' };
  const removing = propose(takeBoxEvent, draft, { type: 'box.removeRequested', data });
  assert(removing, 'a box that has just stopped can be removed');
  return removing;
};

/** Without `attempt`, at once and not as a restart of the policy. */
const startAgain = (draft: BoxDraft, placement: Placement, attempt?: number): BoxDraft => {
  const delayMs = attempt === undefined ? 0 : restartDelayMs(attempt);
  const starting = propose(takeBoxEvent, draft, {
    type: 'box.startRequested',
    data: {
      placement,
      generation: contextOf(draft).generation + 1,
      timeoutMs: delayMs + bootTimeoutMs,
      ...(attempt !== undefined && { restart: { attempt, delayMs } }),
    },
  });
  assert(starting, 'a box that has just ended can be started where its disk is');
  return starting;
};

/** The number of the restart that is due; undefined when the policy wants none. */
const nextRestart = (box: BoxContext, exit: Exit, now: Timestamp): number | undefined => {
  const { restart } = box.options;
  const succeeded = exit.kind === 'code' && exit.code === 0;
  if (restart.policy === 'no' || (restart.policy === 'on-failure' && succeeded)) return undefined;
  const upMs = box.startedAt === null ? 0 : msOf(now) - msOf(box.startedAt);
  const attempt = upMs >= limits.restartResetAfterMs ? 1 : box.restarts + 1;
  return allows(box, attempt) ? attempt : undefined;
};

const allows = ({ options: { restart } }: BoxContext, attempt: number): boolean =>
  attempt <= (restart.maxRetries ?? Number.POSITIVE_INFINITY);

const contextOf = ({ state }: BoxDraft): BoxContext => {
  assert(state !== undefined, 'a box that ended exists');
  return state.context;
};
