import type { BoxEvent } from '../../events/box-events.ts';
import type { Exit } from '../../events/process.ts';
import { boxOfStream } from '../../kernel/ids.ts';
import type { ChartEvent } from '../chart.ts';
import type { BoxChartEvent, BoxContext, Goal } from './box-context.ts';
import { rememberOperation } from './remember-operation.ts';

/** What an event leaves in the memory of a box, whichever state takes it. Effects are the statechart's affair. */
export const remember = (box: BoxContext, event: BoxChartEvent): Partial<BoxContext> => {
  switch (event.type) {
    case 'box.created':
      return {
        boxId: boxOfStream(event.streamId),
        tenant: event.tenant,
        name: event.data.name,
        options: event.data.options,
        createdAt: event.occurredAt,
        ...(event.data.origin && {
          origin: event.data.origin.from,
          placement: event.data.origin.placement,
          hasDisk: true,
        }),
      };
    case 'box.renamed':
      return { name: event.data.name };
    case 'box.startRequested': {
      const { placement, generation, restart } = event.data;
      const fresh = { goal: 'none', frozen: false, retries: 0, exit: null, failure: null } as const;
      // A boot that was asked for counts as having made the disk: it is kept when the boot fails.
      return { placement, generation, hasDisk: true, restarts: restart?.attempt ?? 0, ...fresh };
    }
    case 'box.started':
      return {
        process: event.data.process,
        startedAt: event.occurredAt,
        resumedAt: null,
        health: box.options.healthCheck === undefined ? 'none' : 'starting',
      };
    case 'box.stopRequested':
      return { goal: goalOf(event.data), retries: 0 };
    case 'box.removeRequested':
      return { goal: 'remove', retries: 0 };
    case 'box.stopFailed':
    case 'box.removeFailed':
      return { failure: event.data.failure, retries: box.retries + 1 };
    case 'box.stopped':
      return { ...ended(event.data.exit, event), failure: event.data.failures.at(-1) ?? box.failure };
    case 'box.exited':
      return ended(event.data.exit, event);
    case 'box.startFailed':
      return { failure: event.data.failure };
    case 'box.pauseRequested':
    case 'box.paused':
    case 'box.pauseFailed':
    case 'box.resumeRequested':
    case 'box.resumed':
    case 'box.resumeFailed':
      return rememberPause(box, event);
    case 'box.removed':
      return { hasDisk: event.data.diskAbandoned, snapshots: [], standsOn: null };
    case 'box.lost':
      return { process: null, health: 'none' };
    case 'box.found': {
      const { placement, process, exit } = event.data;
      return process === null
        ? { placement, retries: 0, ...ended(exit ?? { kind: 'unknown' }, event) }
        : // It runs, and what it was paused for is over. That its processes are thawed nobody has seen.
          { placement, retries: 0, process, pause: null };
    }
    case 'box.healthChanged':
      return { health: event.data.health };
    default:
      return rememberOperation(box, event);
  }
};

type PauseEventType = Extract<BoxEvent['type'], `box.${'pause' | 'resume'}${string}`>;

const rememberPause = (
  box: BoxContext,
  event: ChartEvent<Extract<BoxEvent, { type: PauseEventType }>>,
): Partial<BoxContext> => {
  switch (event.type) {
    case 'box.pauseRequested': {
      const { maxDurationMs = null, toDisk = false } = event.data;
      return { frozen: true, pause: { maxDurationMs, since: null, consistency: 'crash', toDisk } };
    }
    // Quiescing is at best effort: what it came to is the event's consistency, and no failure of the box.
    case 'box.paused': {
      const { consistency } = event.data;
      const { maxDurationMs = null, toDisk = false } = box.pause ?? {};
      return { pause: { maxDurationMs, since: event.occurredAt, consistency, toDisk } };
    }
    case 'box.pauseFailed':
      return { frozen: false, pause: null, failure: event.data.failure };
    case 'box.resumed':
      return {
        frozen: false,
        pause: null,
        resumedAt: event.occurredAt,
        failure: event.data.thawFailure ?? box.failure,
      };
    case 'box.resumeRequested':
      return {};
    case 'box.resumeFailed':
      return { failure: event.data.failure };
    default:
      return event satisfies never;
  }
};

export const goalOf = ({
  thenRemove,
  thenStart,
}: {
  thenRemove: boolean;
  thenStart?: boolean | undefined;
}): Goal => {
  if (thenRemove) return 'remove';
  return thenStart === true ? 'restart' : 'stop';
};

const goals: readonly Goal[] = ['none', 'restart', 'stop', 'remove'];
/** Who wants more of a box that is stopping is heard; who wants less comes too late. */
export const outranks = (one: Goal, other: Goal): boolean => goals.indexOf(one) > goals.indexOf(other);

const ended = (exit: Exit, event: BoxChartEvent): Partial<BoxContext> => ({
  exit,
  process: null,
  frozen: false,
  pause: null,
  health: 'none',
  stoppedAt: event.occurredAt,
});
