import type { BoxEvent, Health, Placement } from '../../events/box-events.ts';
import { type BoxOptions, boxOptionsSchema } from '../../events/box-options.ts';
import type { Consistency, DiskOperation, Origin, Snapshot } from '../../events/disk-operations.ts';
import type { EffectKind } from '../../events/effects.ts';
import type { Failure } from '../../events/failure.ts';
import type { Exit, ProcessIdentity } from '../../events/process.ts';
import { assert } from '../../kernel/assert.ts';
import {
  type BoxId,
  boxId,
  defaultTenant,
  type EffectId,
  effectIdFor,
  idAlphabet,
  idLength,
  type SnapshotId,
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

/** `restart`: down, and then up again. */
export type Goal = 'none' | 'restart' | 'stop' | 'remove';

/** A pause that was asked for; `since` and what it is worth once it has come about. */
export interface Pause {
  readonly maxDurationMs: number | null;
  readonly since: Timestamp | null;
  readonly consistency: Consistency;
  readonly toDisk: boolean;
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
  readonly origin: Origin | null;
  readonly snapshots: readonly Snapshot[];
  /** The snapshot that the disk was last the same as. */
  readonly standsOn: SnapshotId | null;
  /** How far down the box has been asked to go since its last start. */
  readonly goal: Goal;
  readonly effect: EffectInFlight | null;
  /** What the effect in flight does to the disk, if that is what it is for. */
  readonly operation: DiskOperation | null;
  /** Of the present run; kept while the box is paused. */
  readonly health: Health;
  readonly pause: Pause | null;
  /** Restarts in a row by the restart policy. */
  readonly restarts: number;
  /** How often the effect in flight has been asked for again. */
  readonly retries: number;
  readonly exit: Exit | null;
  readonly failure: Failure | null;
  readonly startedAt: Timestamp | null;
  /** When the present run was last resumed; null: it never was paused. */
  readonly resumedAt: Timestamp | null;
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
  origin: null,
  snapshots: [],
  standsOn: null,
  goal: 'none',
  effect: null,
  operation: null,
  health: 'none',
  pause: null,
  restarts: 0,
  retries: 0,
  exit: null,
  failure: null,
  startedAt: null,
  resumedAt: null,
  stoppedAt: null,
};

/** The effect of `kind` that `event` asks for: its id and deadline follow from the event alone. */
export const inFlight = (box: BoxContext, event: BoxChartEvent, kind: EffectKind): EffectInFlight => {
  assert('timeoutMs' in event.data, `${event.type} asks for ${kind} without a time limit`);
  return {
    effectId: effectIdFor(box.boxId, event.version, kind),
    kind,
    deadline: plusMs(event.occurredAt, event.data.timeoutMs),
  };
};
