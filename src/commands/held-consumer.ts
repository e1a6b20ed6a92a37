import type { ConsumerLease, ConsumerStore } from './consumer-store.ts';
import type { Cursor } from './event-store.ts';

/**
 * A consumer in this process's hands. Its lease is renewed every third of it, for as long as it takes to deal with a batch;
 * the signal fires when others may have it. One thing at a time is said to the store, so no cursor overtakes a later one.
 */
export class HeldConsumer {
  readonly #store: ConsumerStore;
  readonly #lease: ConsumerLease;
  readonly #leaseMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #lost = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #cursor: Cursor;
  #keptAtMs: number;
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
    this.#keptAtMs = options.takenAtMs;
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

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#say(() => this.#store.release(this.#lease, this.#cursor));
  }

  async #beat() {
    try {
      await this.#say(() => this.#keep());
    } catch (error) {
      this.#onError(error);
      if (performance.now() - this.#keptAtMs >= this.#leaseMs) this.#lost.abort();
    }
  }

  async #keep(): Promise<void> {
    const asked = performance.now();
    if (await this.#store.keep(this.#lease, this.#leaseMs, this.#cursor)) this.#keptAtMs = asked;
    else this.#lost.abort();
  }

  #say(what: () => Promise<void>): Promise<void> {
    const said = this.#said.then(what);
    this.#said = said.catch(() => undefined); // its caller is told; the next one is not concerned
    return said;
  }
}
