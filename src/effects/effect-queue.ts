import type { EffectId, HostId } from '../kernel/ids.ts';
import type { DueEffect } from './outbox.ts';

/** What a delivery asks of the queue in return: `later` delivers the same effect again after so many milliseconds. */
export type DeliveryAnswer = { readonly kind: 'done' } | { readonly kind: 'later'; readonly delayMs: number };

export interface DeliveryLoop {
  /** Takes no more deliveries and waits for those under way, at most `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

/**
 * Carries effect ids to hosts. It may lose, repeat, delay and reorder them: the outbox knows better. One queue a host.
 */
export interface EffectQueue {
  /** Adding what is already there changes nothing. */
  enqueue(effects: readonly DueEffect[]): Promise<void>;
  /** Calls `deliver` for each id that arrives for the host, at most `concurrency` at once. */
  consume(
    hostId: HostId,
    concurrency: number,
    deliver: (effectId: EffectId) => Promise<DeliveryAnswer>,
  ): Promise<DeliveryLoop>;
  close(): Promise<void>;
}
