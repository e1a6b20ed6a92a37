import type { ConsumerLease, ConsumerStore } from './consumer-store.ts';
import type { Cursor } from './event-store.ts';

/**
 * A consumer in this process's hands. Its lease is renewed every third of it, for as long as it takes to deal with a batch;
 * the signal fires when others may have it: when the store says so, and by this process's monotonic clock, however long the
 * store is silent. One thing at a time is said to the store, so no cursor overtakes a later one.
 */
export class HeldConsumer {
  readonly #store: ConsumerStore;
  readonly #lease: ConsumerLease;
  readonly #leaseMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #lost = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #cursor: Cursor;
  #expiry: NodeJS.Timeout | undefined;
  #said: Promise<unknown> = Promise.resolve();

  /** `takenAtMs`: by the monotonic clock, before the lease was asked for. */
  constructor(
    store: ConsumerStore,
    lease: ConsumerLease,
    options: { leaseMs: number; takenAtMs: number; onError: (error: unknown) => void },
  ) {
    this.#store = store;
    this.#lease = lease;
    this.#leaseMs = options.leaseMs;
    this.#onError = options.onError;
    this.#cursor = lease.cursor;
    this.#holdsFrom(options.takenAtMs);
    this.#heartbeat = setInterval(() => void this.#beat(), options.leaseMs / 3);
    this.#heartbeat.unref();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get cursor(): Cursor {
    return this.#cursor;
  }

  /** Everything up to here needs not be looked at again; kept with the next renewal. */
  passed(cursor: Cursor): void {
    this.#cursor = cursor;
  }

  /** Everything up to here has been dealt with: resolves when that is kept. */
  async reached(cursor: Cursor): Promise<void> {
    this.#cursor = cursor;
    await this.#say(() => this.#keep());
  }

  /** What others may have is not said to be released: it may be theirs, and the store may be silent. */
  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    if (!this.signal.aborted) await this.#say(() => this.#store.release(this.#lease, this.#cursor));
    clearTimeout(this.#expiry);
  }

  async #beat() {
    try {
      await this.#say(() => this.#keep());
    } catch (error) {
      this.#onError(error);
    }
  }

  async #keep(): Promise<void> {
    if (this.signal.aborted) return;
    const asked = performance.now();
    if (await this.#store.keep(this.#lease, this.#leaseMs, this.#cursor)) this.#holdsFrom(asked);
    else this.#lost.abort();
  }

  /** `fromMs`: before the store was asked, so that the lease ends here no later than there. */
  #holdsFrom(fromMs: number): void {
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.#lost.abort(), fromMs + this.#leaseMs - performance.now());
    this.#expiry.unref();
  }

  #say(what: () => Promise<void>): Promise<void> {
    const said = this.#said.then(what);
    this.#said = said.catch(() => undefined); // its caller is told; the next one is not concerned
    return said;
  }
}
