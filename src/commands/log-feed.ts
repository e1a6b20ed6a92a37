import { type BoxId, boxStream, noVersion, type StreamId } from '../kernel/ids.ts';
import type { Cursor, EventLog, LogFilter, LogPage } from './event-store.ts';
import type { LogEntry, LogTail } from './log-tail.ts';

/** `caught-up` comes once: everything that was readable has been given, what follows is live. */
export type FeedItem =
  | { readonly kind: 'event'; readonly event: LogEntry }
  | { readonly kind: 'caught-up'; readonly cursor: Cursor };

export interface FollowOptions {
  /** Go on after this cursor; `'now'`: only what comes from now on. */
  readonly from: Cursor | 'now';
  readonly filter?: LogFilter | undefined;
  readonly signal: AbortSignal;
}

const pageSize = 256;

/**
 * The log as an endless sequence: first from the database, then from the process's one tail, and from the database again
 * for a reader that has fallen behind what the tail keeps. Nothing is skipped or repeated, and nothing is read ahead of
 * a slow reader. Ends when the signal aborts.
 */
export class LogFeed {
  readonly #log: EventLog;
  readonly #tail: LogTail;

  constructor(log: EventLog, tail: LogTail) {
    this.#log = log;
    this.#tail = tail;
  }

  async *follow({ from, filter, signal }: FollowOptions): AsyncGenerator<FeedItem, void, undefined> {
    await this.#tail.start();
    const unfollow = this.#tail.follow();
    try {
      yield* this.#follow(from === 'now' ? await this.#log.end() : from, filter, signal);
    } finally {
      unfollow();
    }
  }

  async *#follow(
    from: Cursor,
    filter: LogFilter | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<FeedItem, void, undefined> {
    let cursor = from;
    let caughtUp = false;
    while (!signal.aborted) {
      // What is not readable yet becomes entry `mark` or later; what the pages give may be among those too.
      const mark = this.#tail.next;
      for await (const page of this.#pages(cursor, filter, signal)) {
        for (const event of page.events) yield { kind: 'event', event };
        cursor = page.cursor;
      }
      if (signal.aborted) return;
      if (!caughtUp) yield { kind: 'caught-up', cursor };
      caughtUp = true;
      for await (const event of this.#live(mark, signal)) {
        if (!this.#log.isAfter(event.cursor, cursor)) continue;
        cursor = event.cursor;
        if (matches(event, filter)) yield { kind: 'event', event };
      }
    }
  }

  async *#pages(after: Cursor, filter: LogFilter | undefined, signal: AbortSignal): AsyncGenerator<LogPage> {
    let cursor = after;
    while (!signal.aborted) {
      const page = await this.#log.readAll(cursor, pageSize, filter);
      yield page;
      if (page.atEnd) return;
      cursor = page.cursor;
    }
  }

  /** Entries of the tail from `number` on; returns when the tail has forgotten the next one or the signal aborts. */
  async *#live(number: number, signal: AbortSignal): AsyncGenerator<LogEntry> {
    for (let at = number; !signal.aborted; ) {
      const entry = this.#tail.entry(at);
      if (entry === 'gone') return;
      if (entry === 'ahead') {
        await this.#advance(at, signal);
        continue;
      }
      at += 1;
      yield entry;
    }
  }

  /** Resolves when the tail has got to entry `number`, or the signal has aborted. */
  #advance(number: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        off();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const off = this.#tail.onAdvance(() => {
        if (this.#tail.next > number) done();
      });
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted || this.#tail.next > number) done();
    });
  }

  /** As `until`, of the box's own stream. */
  untilBox<Found>(
    boxId: BoxId,
    check: () => Promise<Found | undefined>,
    signal: AbortSignal,
  ): Promise<Found> {
    return this.until(boxStream(boxId), check, signal);
  }

  /**
   * Runs `check` now and after what is appended to the stream, until it gives something other than undefined. What this
   * process appends is heard of straight after its commit, without a look at the log. Throws the signal's reason when it
   * aborts first.
   */
  async until<Found>(
    streamId: StreamId,
    check: () => Promise<Found | undefined>,
    signal: AbortSignal,
  ): Promise<Found> {
    await this.#tail.start();
    let heard = noVersion;
    let proceed: () => void = () => undefined;
    const unwatch = this.#tail.watch(streamId, (version) => {
      if (version <= heard) return;
      heard = version;
      proceed();
    });
    const abort = () => proceed();
    signal.addEventListener('abort', abort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const rung = new Promise<void>((resolve) => {
          proceed = resolve;
        });
        const found = await check();
        if (found !== undefined) return found;
        await rung;
      }
    } finally {
      unwatch();
      signal.removeEventListener('abort', abort);
    }
  }
}

const matches = (event: LogEntry, filter: LogFilter | undefined): boolean =>
  filter === undefined ||
  ((filter.tenant === undefined || event.tenant === filter.tenant) &&
    (filter.streamId === undefined || event.streamId === filter.streamId) &&
    (filter.types === undefined || filter.types.includes(event.type)) &&
    (filter.categories === undefined ||
      filter.categories.includes(event.streamId.slice(0, event.streamId.indexOf('/')))));
