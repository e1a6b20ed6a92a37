import { setTimeout as sleep } from 'node:timers/promises';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { CheckpointSink } from './checkpoint-sink.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

/** The part of a logger that is used here. */
export interface AuditLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

interface SenderOptions {
  readonly sink: CheckpointSink;
  readonly store: CheckpointStore;
  readonly log: AuditLogger;
  readonly crash: CrashProbe;
  readonly firstRetryMs?: number;
}

const pageSize = 50;
const retryMaxMs = 60_000;

/**
 * Brings checkpoints to one sink, in order, from where the database says that it is. A sink that is down is tried again,
 * ever less often, up to once a minute; that it is down is noted in the database and logged, when it begins and when it ends.
 */
export class CheckpointSender {
  readonly #options: SenderOptions;
  readonly #closing = new AbortController();
  #wake: () => void = () => undefined;
  #woken = true;
  #failures = 0;
  readonly #running: Promise<void>;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** There may be something to send. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#woken = false;
      try {
        await this.#sendAll();
        if (!this.#woken) await this.#nextWake();
      } catch (error) {
        if (signal.aborted) return;
        await this.#failed(error);
      }
    }
  }

  #nextWake(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#woken || this.#closing.signal.aborted) resolve();
    });
  }

  async #sendAll(): Promise<void> {
    const { sink, store, crash, log } = this.#options;
    let next = ((await store.sinks()).find((state) => state.sink === sink.name)?.sentSequence ?? 0) + 1;
    for (;;) {
      const page = await store.from(next, pageSize);
      for (const signed of page) {
        const checkpoint = readCheckpoint(signed.body);
        const sequence = typeof checkpoint === 'string' ? next : checkpoint.sequence;
        await sink.send(sequence, signed, this.#closing.signal);
        crash('checkpoint.sent', 'checkpoint');
        await store.noteSent(sink.name, sequence);
        next = sequence + 1;
        if (this.#failures > 0)
          log.info({ sink: sink.name, sequence }, 'a checkpoint sink takes checkpoints again');
        this.#failures = 0;
      }
      if (page.length < pageSize) return;
    }
  }

  async #failed(error: unknown): Promise<void> {
    const { sink, store, log, firstRetryMs = 1_000 } = this.#options;
    const text = errorText(error);
    if (this.#failures === 0)
      log.warn({ sink: sink.name, err: error }, 'a checkpoint sink takes no checkpoints; it is tried again');
    this.#failures += 1;
    await store.noteFailure(sink.name, text).catch(() => undefined); // the database is what is down
    const most = Math.min(retryMaxMs, firstRetryMs * 2 ** Math.min(this.#failures - 1, 16));
    const wait = most * (0.5 + Math.random() / 2);
    await sleep(wait, undefined, { signal: this.#closing.signal }).catch(() => undefined); // closing ends the wait
  }
}

/** `fetch` says only that it failed; why is in the cause. */
const errorText = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
};
