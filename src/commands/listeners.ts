import { setTimeout as sleep } from 'node:timers/promises';
import { EventEmitter } from 'eventemitter3';
import { LRUCache } from 'lru-cache';
import { BoxledgerError } from '../kernel/errors.ts';
import { noVersion, type StreamId, type TenantId } from '../kernel/ids.ts';
import type { Cursor, EventLog } from './event-store.ts';
import { type ExecOrigin, type Heard, tellingOf, toldTypes } from './heard.ts';
import type { LogFeed } from './log-feed.ts';
import type { LogEntry } from './log-tail.ts';

export interface ListenOptions {
  /** `'now'`: only what happens from now on. A cursor: what came after it. */
  readonly from: Cursor | 'now' | 'beginning';
  readonly tenant: TenantId;
  /**
   * Told of what a listener threw, under its name, and of a log that could not be read, which is tried again until it can.
   * Must not throw.
   */
  readonly onError: (error: unknown, name: keyof Heard | 'log') => void;
}

type Listener<Name extends keyof Heard> = (what: Heard[Name]) => unknown;

const execsKept = 10_000;
const retryFirstMs = 100;
const retryMaxMs = 5_000;

/**
 * Listeners in this process to what happens to boxes, execs and hosts, whoever does it: they are fed from the log, in its
 * order, from any place on, and so hear of other processes' doings too. Each is called for itself: one that throws, or whose
 * promise is rejected, is reported and harms neither the others nor the feed. Promises are not waited for: who must not
 * miss anything through a crash reads the log by a consumer.
 */
export class Listeners {
  readonly #feed: LogFeed;
  readonly #log: EventLog;
  readonly #options: ListenOptions;
  /** `on` and `#tell` pair names with what belongs to them; the emitter's own types do not follow a generic name. */
  readonly #emitter = new EventEmitter<keyof Heard>();
  readonly #origins = new LRUCache<StreamId, ExecOrigin>({ max: execsKept });
  readonly #closing = new AbortController();
  #cursor: Cursor | 'now';
  #running: Promise<void> | undefined;

  constructor(feed: LogFeed, log: EventLog, options: ListenOptions) {
    this.#feed = feed;
    this.#log = log;
    this.#options = options;
    this.#cursor = options.from === 'beginning' ? '' : options.from;
  }

  /** Returns how to take the listener away. */
  on<Name extends keyof Heard>(name: Name, listener: Listener<Name>): () => void {
    return this.#add(name, listener, () => undefined);
  }

  /** The next time only. */
  once<Name extends keyof Heard>(name: Name, listener: Listener<Name>): () => void {
    return this.#add(name, listener, (off) => off());
  }

  /** Begins to tell. Add listeners first, where none may miss what is in the log already. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Nobody is told of anything after this. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#emitter.removeAllListeners();
    await this.#running;
  }

  /** Every listener goes into the emitter in a wrapping that lets nothing out. */
  #add<Name extends keyof Heard>(
    name: Name,
    listener: Listener<Name>,
    before: (off: () => void) => void,
  ): () => void {
    const report = (error: unknown) => this.#options.onError(error, name);
    const guarded = (what: Heard[Name]) => {
      before(off);
      try {
        Promise.resolve(listener(what)).catch(report);
      } catch (error) {
        report(error);
      }
    };
    const off = () => void this.#emitter.off(name, guarded);
    this.#emitter.on(name, guarded);
    return off;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let retryMs = retryFirstMs;
    while (!signal.aborted) {
      try {
        await this.#follow(() => {
          retryMs = retryFirstMs;
        });
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onError(error, 'log');
        // A cursor that is none will not become one.
        if (!(error instanceof BoxledgerError && error.retry)) return;
        await sleep(retryMs, undefined, { signal, ref: false }).catch(() => undefined); // to be closed ends the wait
        retryMs = Math.min(retryMs * 2, retryMaxMs);
      }
    }
  }

  async #follow(wentWell: () => void): Promise<void> {
    const { tenant } = this.#options;
    const filter = { tenant, types: toldTypes };
    const { signal } = this.#closing;
    for await (const item of this.#feed.follow({ from: this.#cursor, filter, signal })) {
      if (item.kind === 'caught-up') this.#tell('caughtUp', { cursor: item.cursor });
      else await this.#tellOf(item.event);
      if (signal.aborted) return;
      this.#cursor = item.kind === 'event' ? item.event.cursor : item.cursor;
      wentWell();
    }
  }

  async #tellOf(event: LogEntry): Promise<void> {
    try {
      const telling = await tellingOf(event, (of) => this.#originOf(of));
      if (telling !== undefined) this.#tell(telling.name, telling.what);
    } catch (error) {
      if (error instanceof BoxledgerError && error.retry) throw error;
      this.#options.onError(error, 'log'); // the others are told all the same
    }
  }

  #tell<Name extends keyof Heard>(name: Name, what: Heard[Name]): void {
    this.#emitter.emit(name, what);
  }

  /** The first event of an exec says where it runs, and what. */
  async #originOf({ streamId }: LogEntry): Promise<ExecOrigin> {
    const known = this.#origins.get(streamId);
    if (known !== undefined) return known;
    const [first] = await this.#log.readStream(streamId, noVersion, 1);
    if (first?.type !== 'exec.requested')
      throw new BoxledgerError('NotFound', `the beginning of ${streamId} is not in the log`);
    const { boxId, program } = first.data;
    const origin = { boxId, command: program.kind === 'full' ? program.command : null };
    this.#origins.set(streamId, origin);
    return origin;
  }
}
