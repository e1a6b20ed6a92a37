import type { BoxView } from '../events/box-view.ts';
import type { Command } from '../events/commands.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import { schemaVersionOf } from '../events/upcast.ts';
import type { Refusal } from '../kernel/errors.ts';
import {
  commandId,
  correlationId,
  type EffectId,
  position,
  type StreamId,
  type Version,
  version,
} from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';
import type { Timestamp } from '../kernel/time.ts';
import { aggregateForCommand } from './aggregates.ts';
import { decideOn } from './decide-on.ts';
import type { CommandMeta } from './door.ts';
import type { EventLog, EventStore } from './event-store.ts';
import { emptyStream, foldOn, viewOf } from './stream-events.ts';
import type { StreamState } from './stream-state.ts';
import { StreamStates } from './stream-states.ts';

/** An event that would be appended. */
export interface PlannedEvent {
  readonly streamId: StreamId;
  readonly version: Version;
  readonly event: DomainEvent;
  /** The box after it; null for other streams. */
  readonly view: BoxView | null;
}

/** What the door would answer, and what would follow. */
export type Explanation =
  | {
      readonly kind: 'accepted';
      readonly events: readonly PlannedEvent[];
      readonly effects: readonly EffectIntent[];
      readonly cancels: readonly EffectId[];
    }
  | { readonly kind: 'already-so' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** What of a command's circumstances its decision depends on. */
export type Circumstances = Pick<CommandMeta, 'tenant' | 'actor' | 'expectedVersion'>;

/**
 * Answers what a command would lead to: the door's own decision, on the stream as the database has it now, and nothing
 * is written. What only the append can find out (a name that is taken, a command id that was used) is not looked at.
 */
export class Explainer {
  readonly #states: StreamStates;
  readonly #clock: Clock;

  constructor({ store, log, clock }: { store: EventStore; log: EventLog; clock: Clock }) {
    this.#states = new StreamStates(store, log, 1);
    this.#clock = clock;
  }

  async explain(command: Command, circumstances: Circumstances): Promise<Explanation> {
    const aggregate = aggregateForCommand(command);
    const now = this.#clock.now();
    const stream = await this.#states.load(aggregate.streamOf(command));
    const decision = decideOn(aggregate, stream, command, circumstances, now);
    if (decision.kind !== 'accepted') return decision;
    const { events, effects, cancels, begins } = decision;
    const others = begins.flatMap((begun) =>
      planned(emptyStream(begun.streamId), begun.events, circumstances, now),
    );
    return {
      kind: 'accepted',
      events: [...planned(stream, events, circumstances, now), ...others],
      effects,
      cancels,
    };
  }
}

/** The events with the places that they would take, and the box after each. */
const planned = (
  before: StreamState,
  events: readonly DomainEvent[],
  circumstances: Circumstances,
  now: Timestamp,
): readonly PlannedEvent[] => {
  let stream = before;
  return events.map((event) => {
    stream = foldOn(stream, asRecorded(event, stream, circumstances, now));
    const { streamId, version } = stream;
    return { streamId, version, event, view: viewOf(stream) };
  });
};

const unknown = 'unknown';

/** An event as the log would have it; no statechart looks at what is only known once it is appended. */
const asRecorded = (
  event: DomainEvent,
  { streamId, version: before }: StreamState,
  { tenant, actor }: Circumstances,
  now: Timestamp,
): RecordedEvent => ({
  ...event,
  streamId,
  version: version(before + 1n),
  position: position(0),
  schemaVersion: schemaVersionOf(event.type),
  occurredAt: now,
  hash: '',
  tenant,
  actor,
  reason: null,
  commandId: commandId(unknown),
  correlationId: correlationId(unknown),
  causationId: null,
  traceparent: null,
});
