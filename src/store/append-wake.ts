import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { EventLog, StreamEnd } from '../commands/event-store.ts';
import { connectionConfig, type Database } from './database.ts';
import { statement } from './statement.ts';
import type { StoreLog } from './store-log.ts';

const notifyAppend = statement('notify-append');

export type Wake = Parameters<EventLog['onAppend']>[0];

/** At most one notification in so many milliseconds leaves a process, however much it appends. */
const notifyIntervalMs = 10;
const reconnectDelayMs = 1_000;
/** Between looks at events that are committed but held back by another transaction; doubles from the first to the last. */
const heldBackDelayMinMs = 2;
const heldBackDelayMaxMs = 128;

/**
 * Wakes readers after appends. Subscribers in this process are called at once; those in others by a notification, which
 * this process sends after the append, never with it, and hears on one connection of its own. While that connection is
 * lost nothing is missed for good, because readers poll besides.
 */
export class AppendWake {
  readonly #database: Database;
  readonly #log: StoreLog;
  readonly #subscribers = new Set<Wake>();
  /** Tells this process's notifications from others'. */
  readonly #id = randomUUID();
  #notifyTimer: NodeJS.Timeout | undefined;
  #notifiedAtMs = Number.NEGATIVE_INFINITY;
  #notifying: Promise<void> = Promise.resolve();
  #heldBackTimer: NodeJS.Timeout | undefined;
  #heldBackDelayMs = heldBackDelayMinMs;
  #listener: pg.Client | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(database: Database, log: StoreLog) {
    this.#database = database;
    this.#log = log;
  }

  subscribe(wake: Wake): () => void {
    const subscriber: Wake = (own) => wake(own);
    this.#subscribers.add(subscriber);
    if (this.#listener === undefined && this.#reconnectTimer === undefined) this.#listen();
    return () => void this.#subscribers.delete(subscriber);
  }

  /** To be called after each append of this process, with where the streams end now. */
  appended(streams: readonly StreamEnd[]): void {
    this.#wakeSubscribers(streams);
    if (this.#closed || this.#notifyTimer !== undefined) return;
    const dueInMs = Math.max(0, this.#notifiedAtMs + notifyIntervalMs - performance.now());
    this.#notifyTimer = setTimeout(() => {
      this.#notifying = this.#notify();
    }, dueInMs);
    this.#notifyTimer.unref();
  }

  /**
   * To be called after each read of the log: whether it left out committed events because a transaction older than theirs
   * was still under way. Nobody tells when that ends, so the readers are woken to look again soon.
   */
  heldBack(heldBack: boolean): void {
    if (!heldBack) this.#heldBackDelayMs = heldBackDelayMinMs;
    if (!heldBack || this.#closed || this.#subscribers.size === 0 || this.#heldBackTimer !== undefined)
      return;
    this.#heldBackTimer = setTimeout(() => {
      this.#heldBackTimer = undefined;
      this.#wakeSubscribers(null);
    }, this.#heldBackDelayMs);
    this.#heldBackTimer.unref();
    this.#heldBackDelayMs = Math.min(this.#heldBackDelayMs * 2, heldBackDelayMaxMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#notifyTimer);
    clearTimeout(this.#heldBackTimer);
    clearTimeout(this.#reconnectTimer);
    this.#subscribers.clear();
    await this.#notifying;
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.end().catch(() => undefined); // lost in that moment: there is nothing to end
  }

  #wakeSubscribers(own: readonly StreamEnd[] | null): void {
    for (const wake of this.#subscribers) {
      try {
        wake(own);
      } catch (error) {
        this.#log.error({ err: error }, 'a subscriber to appends threw');
      }
    }
  }

  /** The timer stays set while the statement is under way, so that slow ones do not pile up. */
  async #notify(): Promise<void> {
    try {
      await this.#database.query(notifyAppend, [this.#id]);
    } catch (error) {
      this.#log.debug({ err: error }, 'other processes could not be told of an append; they will poll');
    }
    this.#notifiedAtMs = performance.now();
    this.#notifyTimer = undefined;
  }

  #listen(): void {
    const client = new pg.Client({ ...connectionConfig(this.#database.url), query_timeout: 0 });
    this.#listener = client;
    const lost = (error?: Error) => {
      if (this.#listener !== client) return;
      this.#listener = undefined;
      this.#log.debug({ err: error }, 'the connection that hears of appends was lost');
      client.end().catch(() => undefined); // it is lost already; only its socket is to be freed
      this.#reconnectTimer = setTimeout(() => {
        this.#reconnectTimer = undefined;
        this.#listen();
      }, reconnectDelayMs);
      this.#reconnectTimer.unref();
    };
    client.on('error', lost);
    client.on('end', () => lost());
    client.on('notification', ({ payload }) => {
      if (payload !== this.#id) this.#wakeSubscribers(null);
    });
    client
      .connect()
      .then(() => client.query('LISTEN boxledger_append'))
      .then(() => this.#wakeSubscribers(null), lost);
  }
}
