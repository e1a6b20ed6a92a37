import type { BoxView } from '../events/box-view.ts';
import type { Command } from '../events/commands.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { StreamId } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import type { Decision, DecisionContext } from './decision.ts';

/**
 * A kind of stream with its statechart, as a decider (Chassaing): `decide` says what a command leads to, `evolve` folds
 * what happened. Both are pure; `undefined` is the state of a stream that has no events.
 */
export interface Aggregate<State, Cmd extends Command, Event extends DomainEvent> {
  /** First part of its stream ids. */
  readonly category: 'box' | 'exec' | 'copy' | 'host';
  /** The statechart and the shape of its context as stable JSON text: a snapshot made by another one is not used. */
  readonly definition: string;
  streamOf(command: Cmd): StreamId;
  decide(state: State | undefined, command: Cmd, context: DecisionContext): Decision<State, Event>;
  /** Throws `BrokenInvariant` for an event that the statechart cannot take. */
  evolve(state: State | undefined, event: RecordedEvent<Event>): State;
  /** `restore(persist(state))` equals `state`. */
  persist(state: State): JsonValue;
  restore(snapshot: JsonValue): State;
  /** What users see; null for aggregates that have no read model. */
  view(state: State): BoxView | null;
}
