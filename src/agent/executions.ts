import { BoxledgerError } from '../kernel/errors.ts';
import type { Execution } from './execution.ts';

/** Programs that have ended and are still known: for a host that was away, and for who attaches late. */
const endedMax = 4096;
/** Output of those, all together. */
const endedKeptMaxBytes = 8 * 1024 * 1024;

/** Every program that was run in this box, by the id of its exec, until it has ended and enough others have since. */
export class Executions {
  readonly #known = new Map<string, Execution>();
  /** Those that have ended, oldest first. */
  readonly #ended = new Set<Execution>();

  /** Throws `NotFound`. */
  get(execId: string): Execution {
    const execution = this.#known.get(execId);
    if (execution !== undefined) return execution;
    throw new BoxledgerError('NotFound', `${execId} is not known in this box`, {
      help: 'What is known of it is in its stream in the log.',
    });
  }

  has(execId: string): boolean {
    return this.#known.has(execId);
  }

  add(execution: Execution): void {
    this.#known.set(execution.execId, execution);
    void execution.ended.then(() => {
      this.#ended.add(execution);
      this.#forgetOldest();
    });
  }

  #forgetOldest(): void {
    for (const old of this.#ended) {
      if (this.#ended.size <= endedMax) break;
      this.#ended.delete(old);
      this.#known.delete(old.execId);
    }
    let keptBytes = 0;
    for (const { output } of this.#ended) keptBytes += output.keptBytes;
    for (const { output } of this.#ended) {
      if (keptBytes <= endedKeptMaxBytes) return;
      keptBytes -= output.keptBytes;
      output.forget();
    }
  }
}
