import { setTimeout as after } from 'node:timers/promises';
import type { LagMeter, LogLag } from '../commands/log-lag.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { StoreLog } from './store-log.ts';

export interface LogWatchOptions {
  readonly log: LagMeter;
  /** Begins an epoch of the log when the server behind the connections is another one, and adds partitions ahead. */
  readonly keepLog: () => Promise<unknown>;
  readonly logger: StoreLog;
  /** Events that cannot be read for longer than this are warned of. */
  readonly warnLagMs?: number;
  /** Between warnings of one and the same lag. */
  readonly repeatMs?: number;
  readonly intervalMs?: number;
}

/**
 * Looks after the order of the log while a service runs: notices a standby that took over, keeps partitions ready, and says
 * who holds readers back when somebody does for long.
 */
export class LogWatch {
  readonly #options: Required<LogWatchOptions>;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  /** When the present lag was warned of. */
  #warnedAtMs: number | undefined;

  constructor(options: LogWatchOptions) {
    this.#options = { warnLagMs: 5_000, repeatMs: 60_000, intervalMs: 2_000, ...options };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#options.keepLog();
        this.#judge(await this.#options.log.lag());
      } catch (err) {
        const isHindered = err instanceof BoxledgerError && err.code === 'InvalidState';
        this.#options.logger[isHindered ? 'warn' : 'debug'](
          { err },
          'the log could not be looked after; the next look tries again',
        );
      }
      await after(this.#options.intervalMs, undefined, { signal, ref: false }).catch(() => undefined); // it ends
    }
  }

  #judge({ lagMs, blocker }: LogLag): void {
    const { logger, warnLagMs, repeatMs } = this.#options;
    if (lagMs < warnLagMs) {
      if (this.#warnedAtMs !== undefined)
        logger.info({ lagMs }, 'readers of the log are held back no longer');
      this.#warnedAtMs = undefined;
      return;
    }
    const now = performance.now();
    if (this.#warnedAtMs !== undefined && now - this.#warnedAtMs < repeatMs) return;
    this.#warnedAtMs = now;
    logger.warn(
      { lagMs: Math.round(lagMs), blocker },
      'readers of the log are held back by a transaction that is open for long; nothing is lost. End it: SELECT pg_terminate_backend(pid)',
    );
  }
}
