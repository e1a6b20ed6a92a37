import type { EffectClaim } from '../commands/event-store.ts';
import type { EffectIntent, EffectKind } from '../events/effects.ts';
import type { BoxId, CorrelationId, EffectId, HostId, TenantId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Timestamp } from '../kernel/time.ts';

/** What the queue has to be told of an effect. */
export interface DueEffect {
  readonly effectId: EffectId;
  readonly hostId: HostId;
  /** Milliseconds until it may begin; 0: now. */
  readonly delayMs: number;
}

/** An effect in a worker's hands. `correlationId` is that of the request that led to it. */
export interface ClaimedEffect extends EffectClaim {
  readonly intent: EffectIntent;
  readonly correlationId: CorrelationId;
  /** When the event that asked for it happened. */
  readonly askedAt: Timestamp;
}

export type ClaimResult =
  | { readonly kind: 'claimed'; readonly effect: ClaimedEffect }
  /** Somebody else holds it until `retryAfterMs` from now. */
  | { readonly kind: 'held'; readonly retryAfterMs: number }
  /** Not yet due. */
  | { readonly kind: 'early'; readonly retryAfterMs: number }
  /** Settled, cancelled or unknown: nothing to do. */
  | { readonly kind: 'over' };

export interface OverdueEffect extends EffectClaim {
  readonly tenant: TenantId;
  readonly boxId: BoxId;
  readonly generation: number;
  readonly kind: EffectKind;
  readonly correlationId: CorrelationId;
}

/**
 * Effects of one kind that are not over. `pending`: asked for, or handed back. `claimed`: a worker holds a lease on them;
 * later they are `settled`, with their outcome in the log, or `cancelled`, when the log no longer asks for them. `waitingMs`: how
 * long the first of them has been due.
 */
export interface EffectBacklog {
  readonly kind: EffectKind;
  readonly state: 'pending' | 'claimed';
  readonly effects: number;
  readonly waitingMs: number;
}

/** The effects that the log asks for, as rows. The truth of which effects there are; the queue only carries their ids. */
export interface Outbox {
  /**
   * Pending effects, and claimed ones whose lease has run out, that were asked for or last taken over `olderThanMs` ago,
   * or are to be enqueued at once; marks them as enqueued. At most `limit`, the longest waiting first.
   */
  takeUnqueued(olderThanMs: number, limit: number): Promise<readonly DueEffect[]>;
  /** Takes the effect for `leaseMs`, with the next attempt number, unless somebody holds it or its time has not come. */
  claim(effectId: EffectId, holder: { hostId: HostId; epoch: number }, leaseMs: number): Promise<ClaimResult>;
  /** Prolongs the lease to `leaseMs` from now; false when it is not held any more: stop at once. */
  renew(claim: EffectClaim, leaseMs: number): Promise<boolean>;
  /** Hands the effect back, to be begun again after `retryAfterMs`; false when it is not held any more. */
  release(claim: EffectClaim, retryAfterMs: number, error: JsonObject): Promise<boolean>;
  /** Hands back whatever earlier epochs of the host hold. Returns their ids. */
  releaseEarlierEpochs(hostId: HostId, epoch: number): Promise<readonly EffectId[]>;
  /**
   * Takes effects whose deadline has passed without an outcome, each with the next attempt number, so that no worker's
   * late outcome can be settled besides. At most `limit`.
   */
  takeOverdue(limit: number, leaseMs: number): Promise<readonly OverdueEffect[]>;
  /** Effects that are not over, by kind and state. */
  backlog(): Promise<readonly EffectBacklog[]>;
}
