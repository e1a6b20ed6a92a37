import { setTimeout as sleep } from 'node:timers/promises';
import { BoxledgerError } from '../kernel/errors.ts';
import type { Exec, ExecOutput } from './attached-exec.ts';

/** For how long after a loss it is tried: a server that is restarted is back within. */
const patienceMs = 30_000;
const firstDelayMs = 100;
const maxDelayMs = 2_000;

/**
 * An exec that is attached to again when the connection to its server is lost, without a gap or a repetition in its output
 * beyond what is not kept. What is said to the program while the connection is away is lost. Throws the loss when it cannot be
 * attached to again.
 */
export const reattaching = (
  first: Exec,
  attach: (execId: string, offset: bigint) => Exec,
  signal: AbortSignal | undefined,
): Exec => {
  let current = first;
  return {
    sendStdin: (data) => current.sendStdin(data),
    endStdin: () => current.endStdin(),
    resize: (size) => current.resize(size),
    sendSignal: (name) => current.sendSignal(name),
    async *[Symbol.asyncIterator]() {
      const place = new Place();
      for (;;) {
        try {
          for await (const output of current) if (place.take(output)) yield output;
          return;
        } catch (error) {
          const { execId } = place;
          const delayMs = place.delayAfter(error);
          if (execId === undefined || delayMs === undefined) throw place.loss ?? error;
          await sleep(delayMs, undefined, { signal });
          current = attach(execId, place.offset);
        }
      }
    },
  };
};

/** How far an exec has been read, and for how long it has been lost. */
class Place {
  execId: string | undefined;
  offset = 0n;
  loss: unknown;
  #lostAtMs = 0;
  #tries = 0;

  /** Whether the reader has not had it yet. */
  take(output: ExecOutput): boolean {
    this.loss = undefined;
    if (output.kind === 'started') {
      const isFirst = this.execId === undefined;
      this.execId = output.execId;
      return isFirst;
    }
    if (output.kind === 'skipped') this.offset += output.bytes;
    if (output.kind === 'stdout' || output.kind === 'stderr') this.offset += BigInt(output.data.length);
    return true;
  }

  /** How long to wait before the next try; undefined when there is to be none. */
  delayAfter(error: unknown): number | undefined {
    if (!(error instanceof BoxledgerError && error.code === 'Unavailable')) return undefined;
    if (this.loss === undefined) {
      this.loss = error;
      this.#lostAtMs = performance.now();
      this.#tries = 0;
    }
    this.#tries += 1;
    if (performance.now() - this.#lostAtMs > patienceMs) return undefined;
    return Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(this.#tries - 1, 10));
  }
}
