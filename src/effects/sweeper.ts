import { setTimeout as after } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CommandDoor } from '../commands/door.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';
import { failed } from './carry-out.ts';
import type { EffectQueue } from './effect-queue.ts';
import type { Outbox, OverdueEffect } from './outbox.ts';
import { settleCommand } from './settle-command.ts';

export interface SweeperOptions {
  readonly outbox: Outbox;
  readonly queue: EffectQueue;
  readonly door: CommandDoor;
  readonly log: Logger;
  /** Told of each box of which the passing of a deadline was submitted: its host may be further than the log says. */
  readonly onOverdue?: (boxId: BoxId) => void;
  /** From the end of one sweep to the beginning of the next. */
  readonly intervalMs?: number;
  /** An effect that was enqueued so long ago without an outcome is enqueued again. */
  readonly enqueueAgainAfterMs?: number;
  /** How long the sweeper may take to submit the passing of a deadline before another may. */
  readonly leaseMs?: number;
  /** Rows that are taken at once. */
  readonly batch?: number;
  /** Waits; ends early, without an error, when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  after(ms, undefined, { signal, ref: false }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });

/**
 * Makes good what queue, dispatcher and runners lose: enqueues again what has no outcome in time, and submits the passing
 * of deadlines that no runner reported. A sweep costs as much as there is to do; boxes at rest cost nothing. Any number
 * of sweepers may run: each row is taken by one.
 */
export class Sweeper {
  readonly #options: Required<SweeperOptions>;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #refills = true;

  constructor(options: SweeperOptions) {
    this.#options = {
      intervalMs: 1_000,
      enqueueAgainAfterMs: 10_000,
      leaseMs: 30_000,
      batch: 500,
      onOverdue: () => undefined,
      wait,
      ...options,
    };
  }

  /** Sweeps now, refilling the queue with everything that is pending, then again and again. */
  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** The queue was not told of something: the next sweep enqueues all that is pending, however recently it was taken. */
  refill(): void {
    this.#refills = true;
  }

  /** One sweep. `olderThanMs`: what was enqueued more recently is left alone. */
  async sweep(olderThanMs = this.#options.enqueueAgainAfterMs): Promise<void> {
    try {
      await this.#enqueueAgain(olderThanMs);
    } finally {
      // Deadlines pass also while the queue is away.
      await this.#reportOverdue();
    }
  }

  async #run() {
    while (!this.#abort.signal.aborted) {
      const olderThanMs = this.#refills ? 0 : undefined;
      this.#refills = false;
      try {
        await this.sweep(olderThanMs);
      } catch (err) {
        this.refill();
        this.#options.log.warn({ err }, 'a sweep of the outbox was cut short; the next makes it good');
      }
      await this.#options.wait(this.#options.intervalMs, this.#abort.signal);
    }
  }

  async #enqueueAgain(olderThanMs: number) {
    const { outbox, queue, batch } = this.#options;
    const seen = new Set<string>();
    for (;;) {
      const due = await outbox.takeUnqueued(olderThanMs, batch);
      // With a limit of 0 ms what has just been taken is due once more.
      const fresh = due.filter(({ effectId }) => !seen.has(effectId));
      for (const { effectId } of fresh) seen.add(effectId);
      if (fresh.length > 0) await queue.enqueue(fresh);
      if (fresh.length < batch || this.#abort.signal.aborted) return;
    }
  }

  async #reportOverdue() {
    const { outbox, batch, leaseMs } = this.#options;
    for (;;) {
      const overdue = await outbox.takeOverdue(batch, leaseMs);
      for (const effect of overdue) await this.#reportAlone(effect);
      if (overdue.length < batch || this.#abort.signal.aborted) return;
    }
  }

  /** One box of which no command can be decided holds up no other. */
  async #reportAlone(effect: OverdueEffect) {
    try {
      await this.#report(effect);
    } catch (err) {
      if (err instanceof BoxledgerError && err.retry) throw err;
      const { effectId } = effect;
      this.#options.log.error({ err, effectId }, 'the passing of a deadline could not be submitted');
    }
  }

  async #report(effect: OverdueEffect) {
    const { door, log, onOverdue } = this.#options;
    const outcome = failed(effect.kind, {
      code: 'DeadlineExceeded',
      message: 'the deadline passed and nobody reported an outcome',
    });
    const { command, meta } = settleCommand(effect, effect, outcome, 'sweeper');
    const answer = await door.submit(command, meta);
    if (answer.kind === 'refused')
      log.info(
        { effectId: effect.effectId, refusal: answer.refusal },
        'the passing of a deadline was not heard',
      );
    onOverdue(effect.boxId);
  }
}
