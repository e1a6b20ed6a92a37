import type { Logger } from 'pino';
import { BoxledgerError } from '../kernel/errors.ts';
import type { Clock } from '../kernel/ports.ts';
import { msOf } from '../kernel/time.ts';
import type { ClaimedEffect, Outbox } from './outbox.ts';

/**
 * Why a claimed effect is to be broken off. `lost`: cancelled, or somebody else may hold it by now. `overtaken`: by a
 * shutdown on this host. `deadline`: its time is up. `closing`: this runner ends.
 */
export type StopReason = 'lost' | 'overtaken' | 'deadline' | 'closing';

const errorOf = (reason: StopReason) =>
  reason === 'deadline'
    ? new BoxledgerError('DeadlineExceeded', 'the deadline passed before it was done')
    : new BoxledgerError('Unavailable', `the effect was broken off: ${reason}`);

/**
 * A claim in this runner's hands: its lease is renewed every third of it, and the signal fires when the claim must be let
 * go of or its deadline passes. The first reason stays.
 */
export class HeldClaim {
  readonly effect: ClaimedEffect;
  /** Milliseconds that the effect had been due for when it was claimed. */
  readonly queuedMs: number;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #leaseMs: number;
  readonly #abort = new AbortController();
  readonly #deadline: NodeJS.Timeout;
  readonly #heartbeat: NodeJS.Timeout;
  #renewedAtMs: number;
  /** Renewals under way. */
  #unanswered = 0;
  #stopped: StopReason | undefined;

  constructor(
    effect: ClaimedEffect,
    options: { outbox: Outbox; clock: Clock; log: Logger; leaseMs: number; claimedAtMs: number },
  ) {
    this.effect = effect;
    this.#outbox = options.outbox;
    this.#clock = options.clock;
    const { askedAt, intent } = effect;
    // By the clocks that dated the event and read it here, which may differ.
    this.queuedMs = Math.max(0, msOf(options.clock.now()) - msOf(intent.notBefore ?? askedAt));
    this.#log = options.log;
    this.#leaseMs = options.leaseMs;
    this.#renewedAtMs = options.claimedAtMs;
    this.#deadline = setTimeout(() => this.stop('deadline'), Math.min(this.remainingMs, 2 ** 31 - 1));
    this.#heartbeat = setInterval(() => void this.#renew(), options.leaseMs / 3);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get stopped(): StopReason | undefined {
    return this.#stopped;
  }

  /** Milliseconds until the deadline, by the wall clock that it was set by. */
  get remainingMs(): number {
    return msOf(this.effect.intent.deadline) - msOf(this.#clock.now());
  }

  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.#abort.abort(errorOf(reason));
  }

  /** Ends the heartbeat; the claim itself is settled or released by its holder. */
  drop(): void {
    clearTimeout(this.#deadline);
    clearInterval(this.#heartbeat);
  }

  async #renew() {
    const asked = this.#clock.monotonicMs();
    // A connection that has gone silent is waited for longer than a lease lasts.
    if (this.#unanswered > 0) this.#stopIfRunOut();
    this.#unanswered += 1;
    try {
      if (await this.#outbox.renew(this.effect, this.#leaseMs)) this.#renewedAtMs = asked;
      else this.stop('lost');
    } catch (err) {
      this.#log.warn({ err, effectId: this.effect.effectId }, 'the lease of an effect could not be renewed');
      this.#stopIfRunOut();
    } finally {
      this.#unanswered -= 1;
    }
  }

  #stopIfRunOut() {
    if (this.#clock.monotonicMs() - this.#renewedAtMs >= this.#leaseMs) this.stop('lost');
  }
}
