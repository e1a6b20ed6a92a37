import type { Logger } from 'pino';
import type { EffectIntent } from '../events/effects.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import type { Clock } from '../kernel/ports.ts';
import { msOf } from '../kernel/time.ts';
import type { EffectQueue } from './effect-queue.ts';
import type { DueEffect } from './outbox.ts';

export interface DispatcherOptions {
  readonly queue: EffectQueue;
  readonly clock: Clock;
  readonly log: Logger;
  readonly crash: CrashProbe;
  /** Told when effects could not be enqueued: the queue lacks what the outbox takes it to have. */
  readonly onLeft: () => void;
}

/**
 * Tells the queue of effects straight after the commit that asked for them. Never in the command's way: it neither waits
 * nor throws, and what it does not get through is enqueued by the sweeper. While one batch is on its way, the next gathers.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  #waiting: EffectIntent[] = [];
  #working: Promise<void> | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  dispatch(effects: readonly EffectIntent[]): void {
    if (effects.length === 0) return;
    this.#waiting.push(...effects);
    this.#working ??= this.#work();
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work() {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#enqueue(batch);
      } catch (err) {
        this.#options.log.warn({ err, effects: batch.length }, 'effects are left to the sweeper');
        this.#options.onLeft();
      }
    }
    this.#working = undefined;
  }

  async #enqueue(batch: readonly EffectIntent[]) {
    const { queue, clock, crash } = this.#options;
    const nowMs = msOf(clock.now());
    for (const { kind } of batch) crash('enqueue.before', kind);
    await queue.enqueue(batch.map((intent) => dueAt(intent, nowMs)));
    for (const { kind } of batch) crash('enqueue.after', kind);
  }
}

const dueAt = ({ effectId, placement, notBefore }: EffectIntent, nowMs: number): DueEffect => ({
  effectId,
  hostId: placement.hostId,
  delayMs: notBefore === null ? 0 : Math.max(0, msOf(notBefore) - nowMs),
});
