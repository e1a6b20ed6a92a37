import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CommandDoor } from '../commands/door.ts';
import type { BoxView } from '../events/box-view.ts';
import type { EffectIntent, EffectKind, EffectOutcome } from '../events/effects.ts';
import { failureOf } from '../events/failure.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId, EffectId, HostId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Clock } from '../kernel/ports.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import { BoxLanes } from './box-lanes.ts';
import { carryOut, failed } from './carry-out.ts';
import type { EffectHandlers } from './effect-handler.ts';
import type { DeliveryAnswer, DeliveryLoop, EffectQueue } from './effect-queue.ts';
import { HeldClaim } from './held-claim.ts';
import type { ClaimedEffect, Outbox } from './outbox.ts';
import { settleCommand } from './settle-command.ts';

export interface RunnerOptions {
  readonly hostId: HostId;
  /** Of the host's present join: what it claims is claimed under this number. */
  readonly epoch: number;
  readonly queue: EffectQueue;
  readonly outbox: Outbox;
  readonly door: CommandDoor;
  readonly handlers: EffectHandlers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly crash: CrashProbe;
  readonly backoff: Backoff;
  /** Effects that may run at once. */
  readonly concurrency: number;
  /** A claim that is not renewed for so long may be taken by somebody else. */
  readonly leaseMs: number;
  /** Told of each effect that ended here: with the box as its outcome left it, or null when its outcome was not heard. */
  readonly onEnd: (intent: EffectIntent, view: BoxView | null) => void;
}

/** After a close has run out of time, how long handlers have to undo what they began. */
const undoMs = 5_000;

const done: DeliveryAnswer = { kind: 'done' };
const later = (delayMs: number): DeliveryAnswer => ({ kind: 'later', delayMs });
const kindIn = (effectId: EffectId) => effectId.slice(effectId.lastIndexOf('-') + 1);

/**
 * Carries out the effects of one host.
 *
 * 1. Nothing touches the world without a claim: attempt and lease stand in Postgres first.
 * 2. A claim ends in exactly one way: its outcome is submitted, it is handed back, or it is lost.
 * 3. An outcome is submitted under a command id made of effect and attempt until the door answers: neither lost nor doubled.
 * 4. On this host one lifecycle effect of a box runs at a time; a shutdown overtakes.
 */
export class EffectRunner {
  readonly #options: RunnerOptions;
  readonly #lanes = new BoxLanes();
  readonly #held = new Set<HeldClaim>();
  #loop: DeliveryLoop | undefined;
  #closing = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Begins to take deliveries. Throws `Unavailable` when the queue cannot be had. */
  async start(): Promise<void> {
    const { queue, hostId, concurrency } = this.#options;
    this.#loop = await queue.consume(hostId, concurrency, (effectId) => this.#deliver(effectId));
  }

  /**
   * Takes no new work. What runs may finish within `timeoutMs`; then it is broken off and handed back, to be begun again
   * by whoever comes next.
   */
  async close(timeoutMs: number): Promise<void> {
    this.#closing = true;
    const timer = setTimeout(() => {
      for (const held of this.#held) held.stop('closing');
    }, timeoutMs);
    await this.#loop?.close(timeoutMs + undoMs);
    clearTimeout(timer);
  }

  /**
   * Told of effects as they are committed here: a shutdown overtakes at once, without waiting for its delivery, since what
   * it overtakes may hold the very place that it waits for.
   */
  notice(effects: readonly EffectIntent[]): void {
    for (const { boxId, kind } of effects)
      if (kind === 'vm.shutdown')
        for (const held of this.#held)
          if (held.effect.intent.boxId === boxId && held.effect.intent.kind !== kind) held.stop('overtaken');
  }

  /** Does something with a box while none of its effects runs here. */
  async whileAlone(boxId: BoxId, work: () => Promise<void>): Promise<void> {
    const leave = await this.#lanes.enter(boxId);
    try {
      await work();
    } finally {
      leave();
    }
  }

  async #deliver(effectId: EffectId): Promise<DeliveryAnswer> {
    const { outbox, hostId, epoch, leaseMs, clock, crash, log, backoff } = this.#options;
    if (this.#closing) return later(0);
    try {
      crash('claim.before', kindIn(effectId));
      const claimedAtMs = clock.monotonicMs();
      const claim = await outbox.claim(effectId, { hostId, epoch }, leaseMs);
      if (claim.kind === 'over') return done;
      if (claim.kind !== 'claimed') return later(claim.retryAfterMs);
      crash('claim.after', kindIn(effectId));
      return await this.#hold(claim.effect, claimedAtMs);
    } catch (err) {
      const level = err instanceof BoxledgerError && err.retry ? 'warn' : 'error';
      log[level]({ err, effectId }, 'a delivery could not be dealt with; it comes again');
      return later(backoffMs(backoff, 1));
    }
  }

  async #hold(effect: ClaimedEffect, claimedAtMs: number): Promise<DeliveryAnswer> {
    const { outbox, clock, log, leaseMs } = this.#options;
    const held = new HeldClaim(effect, { outbox, clock, log, leaseMs, claimedAtMs });
    this.#held.add(held);
    // It was claimed while the close began.
    if (this.#closing) held.stop('closing');
    try {
      const end = await this.#alone(held);
      switch (end.kind) {
        case 'outcome':
          return await this.#settle(held, end.outcome);
        case 'again':
          if (await outbox.release(effect, end.delayMs, errorJson(end.error))) return later(end.delayMs);
          return this.#unheard(held);
        case 'unheard':
          return this.#unheard(held);
        default:
          return end satisfies never;
      }
    } finally {
      held.drop();
      this.#held.delete(held);
    }
  }

  #unheard({ effect, stopped }: HeldClaim): DeliveryAnswer {
    const { effectId, attempt, intent } = effect;
    this.#options.log.info({ effectId, attempt, stopped }, 'nobody waits for this effect any more');
    this.#options.onEnd(intent, null);
    return done;
  }

  /** Upholds 4. */
  async #alone(held: HeldClaim): Promise<End> {
    const { boxId, kind } = held.effect.intent;
    const leave = await this.#lanes.enter(boxId, { kind, overtake: () => held.stop('overtaken') });
    try {
      return await this.#run(held);
    } finally {
      leave();
    }
  }

  async #run(held: HeldClaim): Promise<End> {
    const { handlers, crash, log } = this.#options;
    const { intent, attempt, effectId } = held.effect;
    try {
      held.signal.throwIfAborted();
      crash('effect.before', intent.kind);
      const { signal, queuedMs } = held;
      const outcome = await carryOut(handlers, intent, { attempt, queuedMs, signal, crash });
      crash('effect.after', intent.kind);
      // Also when it was told to stop: it had been done by then, and the door knows whether anybody waits for it.
      return { kind: 'outcome', outcome };
    } catch (error) {
      log.info({ err: error, effectId, attempt, stopped: held.stopped }, 'an effect failed');
      return this.#endOf(held, error);
    }
  }

  /** What follows from a handler's error: an outcome, another try, or nothing. */
  #endOf(held: HeldClaim, error: unknown): End {
    const { kind } = held.effect.intent;
    switch (held.stopped) {
      case 'lost':
      case 'overtaken':
        return { kind: 'unheard' };
      case 'closing':
        return { kind: 'again', delayMs: 0, error };
      case 'deadline':
        return { kind: 'outcome', outcome: failed(kind, failureOf(held.signal.reason)) };
      case undefined: {
        const delayMs = backoffMs(this.#options.backoff, held.effect.attempt);
        return mayPass(kind, error) && delayMs < held.remainingMs
          ? { kind: 'again', delayMs, error }
          : { kind: 'outcome', outcome: failed(kind, failureOf(error)) };
      }
      default:
        return held.stopped satisfies never;
    }
  }

  /** Upholds 3. Only the door knows whether a claim still counts, so it is asked until it answers. */
  async #settle(held: HeldClaim, outcome: EffectOutcome): Promise<DeliveryAnswer> {
    const { door, hostId, backoff, log, crash, onEnd } = this.#options;
    const { effect } = held;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { command, meta } = settleCommand(effect, effect.intent, outcome, `host/${hostId}`);
        const answer = await door.submit(command, meta);
        if (answer.kind === 'refused')
          log.info({ effectId: effect.effectId, refusal: answer.refusal }, 'an outcome came too late');
        crash('outcome.after', effect.intent.kind);
        onEnd(effect.intent, answer.kind === 'refused' ? null : answer.view);
        return done;
      } catch (err) {
        if (!(err instanceof BoxledgerError && err.retry) || held.stopped === 'closing') throw err;
        log.warn({ err, effectId: effect.effectId }, 'an outcome is still on its way');
        await sleep(backoffMs(backoff, attempt));
      }
    }
  }
}

/** A copy that found no room finds none until somebody makes some: they hear of it at once. */
const copies: ReadonlySet<EffectKind> = new Set([
  'disk.snapshot',
  'disk.restore',
  'disk.clone',
  'disk.export',
]);

const mayPass = (kind: EffectKind, error: unknown): boolean =>
  error instanceof BoxledgerError && error.retry && !(copies.has(kind) && error.code === 'ResourceExhausted');

type End =
  | { readonly kind: 'outcome'; readonly outcome: EffectOutcome }
  | { readonly kind: 'again'; readonly delayMs: number; readonly error: unknown }
  /** Nobody would hear an outcome. */
  | { readonly kind: 'unheard' };

/** For the outbox, where the last error of an effect that was handed back is kept. */
const errorJson = (error: unknown): JsonObject => {
  const { details, ...rest } = failureOf(error);
  return details === undefined ? rest : { ...rest, details };
};
