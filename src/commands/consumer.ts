import { setTimeout as after } from 'node:timers/promises';
import type { ConsumerStore } from './consumer-store.ts';
import type { EventLog, LogFilter } from './event-store.ts';
import { HeldConsumer } from './held-consumer.ts';
import type { LogEntry } from './log-tail.ts';

/** `signal`: others may run this consumer by now; what is done from here on may be done twice. */
export type ConsumerHandler = (events: readonly LogEntry[], signal: AbortSignal) => Promise<void>;

export interface ConsumerOptions {
  /** Names the reader in the database: all processes that run one of this name take turns. */
  readonly name: string;
  /** Names this process to whoever looks who runs it. */
  readonly holder: string;
  /** Deals with a batch of events, in the order of the log. When it throws, the same events come again, after a while. */
  readonly handle: ConsumerHandler;
  readonly onError: (error: unknown) => void;
  readonly filter?: LogFilter;
  readonly batchSize?: number;
  /** How long after the death of a process another takes over at the latest. */
  readonly leaseMs?: number;
  /** How long it may go without looking when nothing wakes it. */
  readonly pollIntervalMs?: number;
  /** Between tries of a batch that fails; doubles from a hundredth of this. */
  readonly retryDelayMaxMs?: number;
}

/**
 * A reader of the log that is known by name and goes on where it was. Every event comes at least once, and in order: the
 * cursor is kept after the handler has dealt with a batch, so a process that dies in between has the batch come again,
 * here or elsewhere. One process at a time runs it. Nothing is read ahead of the handler, so a slow one is not flooded.
 */
export class Consumer {
  readonly #log: EventLog;
  readonly #store: ConsumerStore;
  readonly #options: Required<Omit<ConsumerOptions, 'filter'>> & Pick<ConsumerOptions, 'filter'>;
  #stopping = new AbortController();
  #running: Promise<void> | undefined;
  /** Whether something may have been appended since the log was last looked at, and who is to be told. */
  #woken = false;
  #proceed: () => void = () => undefined;

  constructor(log: EventLog, store: ConsumerStore, options: ConsumerOptions) {
    this.#log = log;
    this.#store = store;
    this.#options = {
      batchSize: 100,
      leaseMs: 15_000,
      pollIntervalMs: 500,
      retryDelayMaxMs: 10_000,
      ...options,
    };
  }

  /** Runs whenever no other process does, until it is stopped. May be started again after that. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Lets the batch in hand be dealt with, keeps the cursor and hands the consumer on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#proceed();
    await this.#running;
    this.#running = undefined;
    this.#stopping = new AbortController();
  }

  async #run(): Promise<void> {
    const { name, holder, leaseMs, onError } = this.#options;
    const unsubscribe = this.#log.onAppend(() => {
      this.#woken = true;
      this.#proceed();
    });
    while (!this.#stopping.signal.aborted) {
      try {
        const takenAtMs = performance.now();
        const lease = await this.#store.take(name, holder, leaseMs);
        if (lease === undefined) await this.#pause(leaseMs / 3);
        else await this.#consume(new HeldConsumer(this.#store, lease, { leaseMs, takenAtMs, onError }));
      } catch (error) {
        onError(error);
        await this.#pause(leaseMs / 3);
      }
    }
    unsubscribe();
  }

  /** Until it is stopped or others may have it. */
  async #consume(held: HeldConsumer): Promise<void> {
    const { retryDelayMaxMs, onError, pollIntervalMs } = this.#options;
    const retryDelayMinMs = retryDelayMaxMs / 100;
    let retryDelayMs = retryDelayMinMs;
    held.signal.addEventListener('abort', () => this.#proceed(), { once: true });
    while (!this.#stopping.signal.aborted && !held.signal.aborted) {
      this.#woken = false;
      try {
        const atEnd = await this.#dealWithOne(held);
        retryDelayMs = retryDelayMinMs;
        if (atEnd && !held.signal.aborted) await this.#untilWoken(pollIntervalMs);
      } catch (error) {
        onError(error);
        await this.#pause(retryDelayMs);
        retryDelayMs = Math.min(retryDelayMs * 2, retryDelayMaxMs);
      }
    }
    await held.release();
  }

  /** One batch; whether it was the last for now. */
  async #dealWithOne(held: HeldConsumer): Promise<boolean> {
    const { batchSize, filter, handle } = this.#options;
    const { events, cursor, atEnd } = await this.#log.readAll(held.cursor, batchSize, filter);
    if (events.length === 0) held.passed(cursor);
    else {
      await handle(events, held.signal);
      await held.reached(cursor);
    }
    return atEnd;
  }

  async #untilWoken(ms: number): Promise<void> {
    if (this.#woken || this.#stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#proceed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    await after(ms, undefined, { signal }).catch(() => undefined); // to be stopped ends the wait
  }
}
