import type { EffectIntent } from '../events/effects.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import { type EffectId, type StreamId, type TenantId, type Version, version } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';
import type { Begun, Decision, DecisionContext } from './decision.ts';

/** What a statechart looks at of an event: what the log records, less what the store adds to it. */
export type ChartEvent<Event extends DomainEvent> = Event & {
  readonly streamId: StreamId;
  readonly version: Version;
  readonly occurredAt: Timestamp;
  readonly tenant: TenantId;
};

/** What a step led to: the state after it, and the effects that it asks for. */
export interface Step<State> {
  readonly state: State;
  readonly effects: readonly EffectIntent[];
}

/** One step of a statechart, `undefined` when it cannot take the event now. A state that is `undefined` has no events. */
export type Take<State, Event extends DomainEvent> = (
  state: State | undefined,
  event: ChartEvent<Event>,
) => Step<State> | undefined;

/** A decision in the making: what the statechart has taken so far. */
export interface Draft<State, Event extends DomainEvent> {
  readonly state: State | undefined;
  readonly streamId: StreamId;
  readonly context: DecisionContext;
  readonly events: readonly Event[];
  readonly effects: readonly EffectIntent[];
}

export const emptyDraft = <State, Event extends DomainEvent>(
  state: State | undefined,
  streamId: StreamId,
  context: DecisionContext,
): Draft<State, Event> => ({ state, streamId, context, events: [], effects: [] });

/** Adds `event` to the draft as the next of its stream, if the statechart can take it. */
export const propose = <State, Event extends DomainEvent>(
  take: Take<State, Event>,
  draft: Draft<State, Event>,
  event: Event,
): Draft<State, Event> | undefined => {
  const { streamId, context } = draft;
  const step = take(draft.state, {
    ...event,
    streamId,
    version: version(context.version + BigInt(draft.events.length + 1)),
    occurredAt: context.now,
    tenant: context.tenant,
  });
  return (
    step && {
      ...draft,
      state: step.state,
      events: [...draft.events, event],
      effects: [...draft.effects, ...step.effects],
    }
  );
};

export const accepted = <State, Event extends DomainEvent>(
  { state, events: [first, ...rest], effects }: Draft<State, Event>,
  cancels: readonly EffectId[] = [],
  begins: readonly Begun<State, Event>[] = [],
): Decision<State, Event> => {
  assert(state !== undefined && first !== undefined, 'a decision without an event cannot be accepted');
  return { kind: 'accepted', events: [first, ...rest], effects, cancels, state, begins };
};

/** A draft of a stream that is to be new. It asks for no effects: those are asked for by streams that are known. */
export const begun = <State, Event extends DomainEvent>({
  streamId,
  state,
  events: [first, ...rest],
  effects,
}: Draft<State, Event>): Begun<State, Event> => {
  assert(state !== undefined && first !== undefined, 'a stream does not begin without an event');
  assert(effects.length === 0, `${streamId} asks for effects with its first events`);
  return { streamId, events: [first, ...rest], state };
};

/** The state after an event of the log, which the statechart must have been able to take. */
export const evolved = <State>(
  step: Step<State> | undefined,
  { streamId, version, type }: RecordedEvent<DomainEvent>,
): State => {
  assert(step, `${streamId} at version ${version}: the statechart cannot take ${type}`);
  return step.state;
};

/**
 * `Aggregate.definition` of a statechart: its configuration without functions, keys in order. Functions cannot be
 * compared, so whoever changes what one of them keeps in the context counts `contextRevision` up.
 */
export const definitionOf = (machine: { readonly config: unknown }, contextRevision: number): string =>
  JSON.stringify({ contextRevision, chart: machine.config }, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
