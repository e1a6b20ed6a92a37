import type { Clock } from '../kernel/ports.ts';
import { msOf } from '../kernel/time.ts';

export interface DueQueueOptions<Key> {
  readonly clock: Pick<Clock, 'now'>;
  /** The moment has come, once for each `set`. Must not throw. */
  readonly onDue: (key: Key) => void;
}

/**
 * The clock is looked at again at least so often: it may be set, or the machine may sleep, while a timer of Node's runs on.
 * It also keeps far below the 2^31 ms beyond which such a timer fires at once.
 */
const lookAtLeastEveryMs = 60_000;

/**
 * Moments of the wall clock, one a key, under one timer. A key whose moment has not come costs nothing but its place: it is
 * only passed over when another's comes.
 */
export class DueQueue<Key> {
  readonly #options: DueQueueOptions<Key>;
  readonly #dueMs = new Map<Key, number>();
  #timer: NodeJS.Timeout | undefined;
  /** What the timer is set for. */
  #earliestMs = Number.POSITIVE_INFINITY;

  constructor(options: DueQueueOptions<Key>) {
    this.#options = options;
  }

  /** In place of the key's moment before, if it had one. `atMs`: since 1970; may have passed. */
  set(key: Key, atMs: number): void {
    this.#dueMs.set(key, atMs);
    if (atMs < this.#earliestMs) this.#wakeFor(atMs);
  }

  /** The timer may still be set for it, and then finds nothing due. */
  delete(key: Key): void {
    this.#dueMs.delete(key);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#dueMs.clear();
  }

  #wakeFor(atMs: number): void {
    this.#earliestMs = atMs;
    clearTimeout(this.#timer);
    const inMs = Math.min(Math.max(0, atMs - this.#nowMs()), lookAtLeastEveryMs);
    this.#timer = setTimeout(() => this.#look(), inMs).unref();
  }

  #look(): void {
    const nowMs = this.#nowMs();
    const due: Key[] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [key, atMs] of this.#dueMs) {
      if (atMs <= nowMs) due.push(key);
      else nextMs = Math.min(nextMs, atMs);
    }
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const key of due) this.#dueMs.delete(key);
    if (this.#dueMs.size > 0) this.#wakeFor(nextMs);
    for (const key of due) this.#options.onDue(key);
  }

  #nowMs(): number {
    return msOf(this.#options.clock.now());
  }
}
