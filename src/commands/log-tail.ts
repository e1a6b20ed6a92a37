import { EventEmitter } from 'eventemitter3';
import type { RecordedEvent } from '../events/envelope.ts';
import type { StreamId, Version } from '../kernel/ids.ts';
import type { Cursor, EventLog, StreamEnd } from './event-store.ts';

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
 * events, and emits `advance` after each page. What this process appends is read at once only while somebody follows: who
 * watches single streams has heard of it already.
 *
 * Invariant: entry `n` of the tail follows entry `n - 1` in the global order with nothing between them.
 */
export class LogTail {
  readonly #log: EventLog;
  readonly #options: LogTailOptions;
  readonly #emitter = new EventEmitter<{ advance: [] }>();
  readonly #watched = new EventEmitter<Record<StreamId, [Version]>>();
  #followers = 0;
  #entries: LogEntry[] = [];
  /** Number of the entry after the newest. */
  #next = 0;
  #cursor: Cursor = '';
  #started: Promise<void> | undefined;
  #running = false;
  #reading = false;
  #again = false;
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
    this.#watched.removeAllListeners();
  }

  /** The entry of that number; `gone` when it has been forgotten, `ahead` when it has not come yet. */
  entry(number: number): LogEntry | 'gone' | 'ahead' {
    if (number >= this.#next) return 'ahead';
    return this.#entries[number - (this.#next - this.#entries.length)] ?? 'gone';
  }

  /** To be called before entries are read one after the other; what it gives ends that. */
  follow(): () => void {
    this.#followers += 1;
    return () => {
      this.#followers -= 1;
    };
  }

  /**
   * Calls `ring` after each append to the stream with its version: straight after the commit when this process did it, else
   * when it is read; possibly twice. A stream that nobody watches costs nothing.
   */
  watch(streamId: StreamId, ring: (version: Version) => void): () => void {
    this.#watched.on(streamId, ring);
    return () => this.#watched.off(streamId, ring);
  }

  onAdvance(listener: () => void): () => void {
    this.#emitter.on('advance', listener);
    return () => this.#emitter.off('advance', listener);
  }

  async #begin(): Promise<void> {
    this.#cursor = await this.#log.end();
    this.#running = true;
    this.#stopListening = this.#log.onAppend((own) => {
      if (own !== null) this.#ring(own);
      if (own === null || this.#followers > 0) this.#wake();
    });
    this.#timer = setInterval(() => this.#wake(), this.#options.pollIntervalMs);
    this.#timer.unref();
  }

  #ring(ends: readonly StreamEnd[]): void {
    for (const { streamId, version } of ends) this.#watched.emit(streamId, version);
  }

  #wake(): void {
    this.#again = true;
    if (!this.#reading) void this.#readOn();
  }

  async #readOn(): Promise<void> {
    this.#reading = true;
    while (this.#again && this.#running) {
      this.#again = false;
      try {
        await this.#readPages();
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
      this.#ring(page.events);
      if (page.atEnd) return;
    }
  }
}
