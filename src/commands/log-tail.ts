import { EventEmitter } from 'eventemitter3';
import type { RecordedEvent } from '../events/envelope.ts';
import type { Cursor, EventLog } from './event-store.ts';

export type LogEntry = RecordedEvent & { readonly cursor: Cursor };

export interface LogTailOptions {
  /** How long a reader may go without looking when nothing wakes it. */
  readonly pollIntervalMs: number;
  /** How many of the newest events are kept for readers that are nearly there. */
  readonly keep: number;
  readonly onError: (error: unknown) => void;
}

const pageSize = 500;

/**
 * The end of the log, read once for everybody in the process. Begins to read with the first `start`, keeps the newest
 * events, and emits `advance` after each page.
 *
 * Invariant: entry `n` of the tail follows entry `n - 1` in the global order with nothing between them.
 */
export class LogTail {
  readonly #log: EventLog;
  readonly #options: LogTailOptions;
  readonly #emitter = new EventEmitter<{ advance: []; read: [] }>();
  #entries: LogEntry[] = [];
  /** Number of the entry after the newest. */
  #next = 0;
  #cursor: Cursor = '';
  #started: Promise<void> | undefined;
  #running = false;
  #reading = false;
  #again = false;
  /** Number of the latest reading that began, and of the latest that got to the end of the log. */
  #begun = 0;
  #finished = 0;
  #stopListening: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: EventLog, options: LogTailOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Number that the next entry will have. */
  get next(): number {
    return this.#next;
  }

  /** Resolves once the tail stands at a known place: whatever is not readable yet will become an entry. */
  start(): Promise<void> {
    this.#started ??= this.#begin().catch((error) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  stop(): void {
    this.#running = false;
    this.#stopListening();
    clearInterval(this.#timer);
    this.#emitter.removeAllListeners();
  }

  /** The entry of that number; `gone` when it has been forgotten, `ahead` when it has not come yet. */
  entry(number: number): LogEntry | 'gone' | 'ahead' {
    if (number >= this.#next) return 'ahead';
    return this.#entries[number - (this.#next - this.#entries.length)] ?? 'gone';
  }

  /** Resolves when the tail has all that was readable at the time of the call, or the signal aborts. */
  hasAll(signal: AbortSignal): Promise<void> {
    const awaited = this.#begun + 1; // one that is under way may have looked too early
    return new Promise((resolve) => {
      const done = () => {
        this.#emitter.off('read', look);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const look = () => {
        if (this.#finished >= awaited) done();
      };
      this.#emitter.on('read', look);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
      else this.#wake();
    });
  }

  onAdvance(listener: () => void): () => void {
    this.#emitter.on('advance', listener);
    return () => this.#emitter.off('advance', listener);
  }

  async #begin(): Promise<void> {
    this.#cursor = await this.#log.end();
    this.#running = true;
    this.#stopListening = this.#log.onAppend(() => this.#wake());
    this.#timer = setInterval(() => this.#wake(), this.#options.pollIntervalMs);
    this.#timer.unref();
  }

  #wake(): void {
    this.#again = true;
    if (!this.#reading) void this.#readOn();
  }

  async #readOn(): Promise<void> {
    this.#reading = true;
    while (this.#again && this.#running) {
      this.#again = false;
      this.#begun += 1;
      try {
        await this.#readPages();
        this.#finished = this.#begun;
        this.#emitter.emit('read');
      } catch (error) {
        this.#options.onError(error); // the next wake or poll tries again from the same cursor
      }
    }
    this.#reading = false;
  }

  async #readPages(): Promise<void> {
    while (this.#running) {
      const page = await this.#log.readAll(this.#cursor, pageSize);
      if (page.events.length === 0) return;
      this.#entries = [...this.#entries, ...page.events].slice(-this.#options.keep);
      this.#next += page.events.length;
      this.#cursor = page.cursor;
      this.#emitter.emit('advance');
    }
  }
}
