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
  #ending: Promise<ShutdownResult> | undefined;

  constructor(groups: ProcessGroups, quiescence: Quiescence, flush: () => Promise<boolean>) {
    this.#groups = groups;
    this.#quiescence = quiescence;
    this.#flush = flush;
  }

  /** Throws `Unavailable` once the end has begun: what would be started now would not be ended with the rest. */
  refuseWhenEnding(): void {
    if (this.#ending !== undefined)
      throw new BoxledgerError('Unavailable', 'the box is shutting down', { help: 'Start the box again.' });
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
    const killed = await this.#groups.endAll(graceMs, this.#graceOver.signal);
    return { killed, flushed: await this.#flush() };
  }
}
