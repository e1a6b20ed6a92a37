import { setMaxListeners } from 'node:events';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ProcessGroups } from './process-groups.ts';
import type { Quiescence } from './quiescence.ts';

export interface ShutdownResult {
  /** Process groups that needed SIGKILL. */
  readonly killed: number;
  readonly flushed: boolean;
}

/** The end of everything in the box. Once asked for it cannot be called off, only hurried. */
export class Shutdown {
  readonly #groups: ProcessGroups;
  readonly #quiescence: Quiescence;
  readonly #flush: () => Promise<boolean>;
  readonly #graceOver = new AbortController();
  readonly #begun = new AbortController();
  /** What is undone before the end. */
  readonly #undoable = new Set<Promise<unknown>>();
  #ending: Promise<ShutdownResult> | undefined;

  constructor(groups: ProcessGroups, quiescence: Quiescence, flush: () => Promise<boolean>) {
    this.#groups = groups;
    this.#quiescence = quiescence;
    this.#flush = flush;
    setMaxListeners(0, this.#begun.signal); // one for each upload, however many there are
  }

  /** Throws `Unavailable` once the end has begun: what would be started now would not be ended with the rest. */
  refuseWhenEnding(): void {
    if (this.#ending !== undefined) throw shuttingDown();
  }

  /**
   * Runs work that leaves something behind unless it ends by itself. The end of the box aborts its signal and waits
   * until it has cleaned up.
   */
  async undoing<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    this.refuseWhenEnding();
    const running = work(this.#begun.signal);
    this.#undoable.add(running);
    try {
      return await running;
    } finally {
      this.#undoable.delete(running);
    }
  }

  /** Every call waits for the same end; one with a shorter grace cuts the grace of all. */
  end(graceMs: number): Promise<ShutdownResult> {
    if (this.#ending === undefined) this.#ending = this.#end(graceMs);
    else setTimeout(() => this.#graceOver.abort(), graceMs).unref();
    return this.#ending;
  }

  async #end(graceMs: number): Promise<ShutdownResult> {
    // a program that waits for a frozen file system cannot end; one that stays frozen is no reason to go on running
    await this.#quiescence.thaw().catch((error: unknown) => console.error('could not thaw:', error));
    this.#begun.abort(shuttingDown());
    const killed = await this.#groups.endAll(graceMs, this.#graceOver.signal);
    await Promise.allSettled(this.#undoable);
    return { killed, flushed: await this.#flush() };
  }
}

const shuttingDown = () =>
  new BoxledgerError('Unavailable', 'the box is shutting down', { help: 'Start the box again.' });
