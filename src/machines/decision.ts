import type { EffectIntent } from '../events/effects.ts';
import type { DomainEvent } from '../events/envelope.ts';
import type { Refusal } from '../kernel/errors.ts';
import type { EffectId, StreamId, TenantId, Version } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';

/** A new stream that commits together with the events of the one that was decided on. */
export interface Begun<State, Event extends DomainEvent> {
  readonly streamId: StreamId;
  readonly events: readonly [Event, ...Event[]];
  readonly state: State;
}

/**
 * A statechart's answer to a command. `already-so` is success with nothing to append. Effects are what the accepted
 * events ask for, in order; `cancels` are effects asked for earlier that the events make pointless.
 */
export type Decision<State, Event extends DomainEvent> =
  | {
      readonly kind: 'accepted';
      readonly events: readonly [Event, ...Event[]];
      readonly effects: readonly EffectIntent[];
      readonly cancels: readonly EffectId[];
      /** The state after the events. */
      readonly state: State;
      /** New streams of the same kind. */
      readonly begins: readonly Begun<State, Event>[];
    }
  | { readonly kind: 'already-so' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** What a decision needs from outside: brought in, so that deciding again gives the same answer. */
export interface DecisionContext {
  readonly now: Timestamp;
  /** Version of the stream that the state was folded to. */
  readonly version: Version;
  /** Tenant of the command; an existing stream answers only to its own. */
  readonly tenant: TenantId;
}

export const refused = (refusal: Refusal): { readonly kind: 'refused'; readonly refusal: Refusal } => ({
  kind: 'refused',
  refusal,
});

export const alreadySo = { kind: 'already-so' } as const;
