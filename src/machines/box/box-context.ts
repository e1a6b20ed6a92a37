import type { BoxEvent, Placement } from '../../events/box-events.ts';
import { type BoxOptions, boxOptionsSchema } from '../../events/box-options.ts';
import type { EffectKind } from '../../events/effects.ts';
import type { Failure } from '../../events/failure.ts';
import type { Exit, ProcessIdentity } from '../../events/process.ts';
import { assert } from '../../kernel/assert.ts';
import {
  type BoxId,
  boxId,
  boxOfStream,
  defaultTenant,
  type EffectId,
  effectIdFor,
  idAlphabet,
  idLength,
  type TenantId,
} from '../../kernel/ids.ts';
import { plusMs, type Timestamp, timestampFromMs } from '../../kernel/time.ts';
import type { ChartEvent } from '../chart.ts';

export type BoxChartEvent = ChartEvent<BoxEvent>;

/** The effect that an in-between state waits for. */
export interface EffectInFlight {
  readonly effectId: EffectId;
  readonly kind: EffectKind;
  readonly deadline: Timestamp;
}

/** What the statechart remembers of a box besides the state it is in. JSON as it stands. */
export interface BoxContext {
  readonly boxId: BoxId;
  readonly tenant: TenantId;
  readonly name: string;
  readonly options: BoxOptions;
  readonly createdAt: Timestamp;
  readonly generation: number;
  /** Where the box was last started. */
  readonly placement: Placement | null;
  readonly process: ProcessIdentity | null;
  /** The process may be frozen: true from the asking for a pause until the box is known to run again. */
  readonly frozen: boolean;
  readonly hasDisk: boolean;
  /** How far down the box has been asked to go since its last start. */
  readonly goal: 'none' | 'stop' | 'remove';
  readonly effect: EffectInFlight | null;
  /** How often the effect in flight has been asked for again. */
  readonly retries: number;
  readonly exit: Exit | null;
  readonly failure: Failure | null;
  readonly startedAt: Timestamp | null;
  readonly stoppedAt: Timestamp | null;
}

/** XState wants a context from the outset; `box.created` overwrites every field of this one that anybody looks at. */
export const unborn: BoxContext = {
  boxId: boxId(`bx_${idAlphabet.charAt(0).repeat(idLength)}`),
  tenant: defaultTenant,
  name: '',
  options: boxOptionsSchema.parse({}),
  createdAt: timestampFromMs(0),
  generation: 0,
  placement: null,
  process: null,
  frozen: false,
  hasDisk: false,
  goal: 'none',
  effect: null,
  retries: 0,
  exit: null,
  failure: null,
  startedAt: null,
  stoppedAt: null,
};

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
      };
    case 'box.startRequested': {
      const { placement, generation } = event.data;
      const fresh = { goal: 'none', frozen: false, retries: 0, exit: null, failure: null } as const;
      // A boot that was asked for counts as having made the disk: it is kept when the boot fails.
      return { placement, generation, hasDisk: true, ...fresh };
    }
    case 'box.started':
      return { process: event.data.process, startedAt: event.occurredAt };
    case 'box.stopRequested':
      return { goal: event.data.thenRemove ? 'remove' : 'stop', retries: 0 };
    case 'box.removeRequested':
      return { goal: 'remove', retries: 0 };
    case 'box.stopFailed':
    case 'box.removeFailed':
      return { failure: event.data.failure, retries: box.retries + 1 };
    case 'box.stopped':
      return { ...ended(event.data.exit, event), failure: event.data.failures.at(-1) ?? box.failure };
    case 'box.exited':
      return ended(event.data.exit, event);
    case 'box.pauseRequested':
      return { frozen: true };
    case 'box.pauseFailed':
      return { frozen: false, failure: event.data.failure };
    case 'box.resumed':
      return { frozen: false, failure: event.data.thawFailure ?? box.failure };
    case 'box.startFailed':
    case 'box.resumeFailed':
      return { failure: event.data.failure };
    case 'box.removed':
      return { hasDisk: event.data.diskAbandoned };
    case 'box.lost':
      return { process: null };
    case 'box.found': {
      const { placement, process, exit } = event.data;
      return process === null
        ? { placement, retries: 0, ...ended(exit ?? { kind: 'unknown' }, event) }
        : { placement, retries: 0, process };
    }
    // Quiescing is at best effort: what it came to is the event's consistency, and no failure of the box.
    case 'box.paused':
    case 'box.resumeRequested':
    case 'box.healthChanged':
    case 'box.bracketOpened':
    case 'box.bracketClosed':
      return {};
    default:
      return event satisfies never;
  }
};

const ended = (exit: Exit, event: BoxChartEvent): Partial<BoxContext> => ({
  exit,
  process: null,
  frozen: false,
  stoppedAt: event.occurredAt,
});

/** The effect of `kind` that `event` asks for: its id and deadline follow from the event alone. */
export const inFlight = (box: BoxContext, event: BoxChartEvent, kind: EffectKind): EffectInFlight => {
  assert('timeoutMs' in event.data, `${event.type} asks for ${kind} without a time limit`);
  return {
    effectId: effectIdFor(box.boxId, event.version, kind),
    kind,
    deadline: plusMs(event.occurredAt, event.data.timeoutMs),
  };
};
