import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Driver } from '../drivers/driver.ts';
import type { BoxUsage } from '../events/box-usage.ts';
import type { BoxId } from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';

interface Reading {
  readonly cpuMs: number;
  /** By the monotonic clock. */
  readonly atMs: number;
}

/** What is kept of a box: the reading that the next one is compared with, and the last figures. */
interface Kept {
  readonly generation: number;
  readonly base: Reading;
  readonly last: BoxUsage;
}

/** A share of processor time over less than this is noise; a reading is compared with for as long as the second. */
const spanMinMs = 250;
const spanMs = 1_000;
/** An older reading says nothing about now. */
const spanMaxMs = 30_000;
const keptMax = 10_000;

/**
 * What boxes on this host use, measured when somebody asks and once before a box is shut down: a box that nobody asks about
 * costs nothing. The last figures of a box are kept, so that they can be had when it does not run any more.
 */
export class UsageMeter {
  readonly #driver: Pick<Driver, 'usage'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #kept = new LRUCache<BoxId, Kept>({ max: keptMax });

  constructor(driver: Pick<Driver, 'usage'>, clock: Clock, log: Logger) {
    this.#driver = driver;
    this.#clock = clock;
    this.#log = log;
  }

  /** Of a box that runs, as it is now; takes a quarter of a second when nobody has asked lately. Else the last figures. */
  async measure(boxId: BoxId, generation: number): Promise<BoxUsage | undefined> {
    const now = await this.#read(boxId, generation);
    if (now === undefined || now.cpuPercent !== undefined) return now ?? this.#kept.peek(boxId)?.last;
    await delay(spanMinMs);
    return (await this.#read(boxId, generation)) ?? this.#kept.peek(boxId)?.last;
  }

  /** The box is about to end: keeps its last figures. Never fails. */
  async note(boxId: BoxId, generation: number): Promise<void> {
    try {
      await this.#read(boxId, generation);
    } catch (err) {
      this.#log.debug({ err, boxId }, 'the last figures of a box could not be had');
    }
  }

  async #read(boxId: BoxId, generation: number): Promise<BoxUsage | undefined> {
    const usage = await this.#driver.usage(boxId);
    if (usage === undefined) return undefined;
    const reading = { cpuMs: usage.cpuMs, atMs: this.#clock.monotonicMs() };
    const kept = this.#kept.get(boxId);
    const base = kept?.generation === generation ? kept.base : undefined;
    const spannedMs = base === undefined ? 0 : reading.atMs - base.atMs;
    const isComparable = base !== undefined && spannedMs >= spanMinMs && spannedMs <= spanMaxMs;
    const last = {
      ...usage,
      measuredAt: this.#clock.now(),
      // Processes that end between two readings may take their time with them, where no cgroup counts it.
      cpuPercent: isComparable ? Math.max(0, (100 * (usage.cpuMs - base.cpuMs)) / spannedMs) : undefined,
    };
    const isLasting = base !== undefined && spannedMs < spanMs;
    this.#kept.set(boxId, { generation, base: isLasting ? base : reading, last });
    return last;
  }
}
