import type { CrashProbe } from '../kernel/crash-point.ts';
import { type Checkpoint, readCheckpoint } from './checkpoint.ts';
import { type AuditLogger, CheckpointSender } from './checkpoint-sender.ts';
import type { CheckpointSink } from './checkpoint-sink.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { makeCheckpoint } from './make-checkpoint.ts';
import { beginning, samePlace } from './place.ts';
import type { SigningKey } from './signing-key.ts';

export interface CheckpointMakerOptions {
  readonly store: CheckpointStore;
  readonly key: SigningKey;
  readonly sinks: readonly CheckpointSink[];
  /** A checkpoint is made as soon as some so many events are not signed. */
  readonly everyEvents: number;
  /** And after so long when there are any at all. */
  readonly everyMs: number;
  readonly now: () => string;
  readonly log: AuditLogger;
  readonly crash: CrashProbe;
  /** Most milliseconds before a sink that failed is tried again for the first time. Default 1000. */
  readonly firstRetryMs?: number;
}

const lookMinMs = 20;
const lookMaxMs = 1_000;

/**
 * Signs the log as it grows and sends what it has signed to the sinks. Looks at the log's end now and then and stands in
 * nobody's way; of several servers on one database, whichever comes first makes the next checkpoint.
 */
export class CheckpointMaker {
  readonly #options: CheckpointMakerOptions;
  readonly #senders: readonly CheckpointSender[];
  readonly #lookMs: number;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #closed = false;
  #dueAtMs: number;
  #failing = false;

  private constructor(options: CheckpointMakerOptions) {
    this.#options = options;
    this.#senders = options.sinks.map((sink) => new CheckpointSender({ ...options, sink }));
    this.#lookMs = Math.max(lookMinMs, Math.min(lookMaxMs, options.everyMs / 4));
    this.#dueAtMs = performance.now() + options.everyMs;
    this.#plan();
  }

  static async start(options: CheckpointMakerOptions): Promise<CheckpointMaker> {
    const { store, key } = options;
    await store.addKey(key.keyId, key.publicKeyHex);
    return new CheckpointMaker(options);
  }

  /** Signs all that can be signed now, and leaves what others go on to append meanwhile. */
  async makeAll(): Promise<void> {
    const { everyEvents } = this.#options;
    while (((await this.#make())?.count ?? 0) >= everyEvents);
  }

  /** Signs what is left and ends; what a sink has not got by then it gets after the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await this.makeAll().catch((error) => this.#failed(error));
    await Promise.all(this.#senders.map((sender) => sender.close()));
  }

  #plan(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#working = this.#look()
        .catch((error) => this.#failed(error))
        .then(() => this.#plan());
    }, this.#lookMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { everyEvents, everyMs } = this.#options;
    const isTime = performance.now() >= this.#dueAtMs;
    const unsigned = await this.#unsigned();
    if (unsigned >= everyEvents || (isTime && unsigned > 0)) await this.makeAll();
    if (isTime) this.#dueAtMs = performance.now() + everyMs;
    this.#failing = false;
  }

  /** Events that are not signed; too many when positions were lost, and 1 when there may be any. */
  async #unsigned(): Promise<number> {
    const { store } = this.#options;
    const end = await store.end();
    if (end === undefined) return 0;
    const signed = await store.last();
    const checkpoint = signed && readCheckpoint(signed.body);
    const last = typeof checkpoint === 'object' ? checkpoint.to : beginning;
    return samePlace(end, last) ? 0 : Math.max(1, Number(end.position) - Number(last.position));
  }

  async #make(): Promise<Checkpoint | undefined> {
    const { everyEvents, ...options } = this.#options;
    const made = await makeCheckpoint({ ...options, eventsMax: everyEvents });
    if (made !== undefined) for (const sender of this.#senders) sender.wake();
    return made;
  }

  /** Said once for each time that it begins. */
  #failed(error: unknown): void {
    if (!this.#failing)
      this.#options.log.warn({ err: error }, 'no checkpoint could be made; it is tried again');
    this.#failing = true;
  }
}
