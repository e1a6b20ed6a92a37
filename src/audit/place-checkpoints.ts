import { type Checkpoint, readCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import type { AuditedEvent, LogPart } from './log-parts.ts';
import { comparePlaces } from './place.ts';

/** Puts each checkpoint after the events that it covers. Both come in their order; no more than a page is held. */
export async function* placeCheckpoints(
  pages: AsyncIterable<readonly AuditedEvent[]>,
  checkpoints: AsyncIterable<SignedCheckpoint>,
): AsyncGenerator<LogPart> {
  const queue = new CheckpointQueue(checkpoints);
  let next = yield* queue.next();
  /** Whether the events since the last checkpoint are the next one's. */
  let begun = false;
  /** Whether there were events since the last checkpoint that are not the next one's. */
  let loose = false;
  for await (const page of pages) {
    let rest = page;
    while (next !== undefined && rest.length > 0) {
      const { after, to } = next.checkpoint;
      const before = begun ? 0 : countUpTo(rest, after);
      if (before > 0) {
        loose = true;
        yield { kind: 'events', events: rest.slice(0, before) };
        rest = rest.slice(before);
        if (rest.length === 0) break;
      }
      if (loose) yield { kind: 'uncovered' };
      loose = false;
      begun = true;
      const end = countUpTo(rest, to);
      if (end > 0) yield { kind: 'events', events: rest.slice(0, end) };
      rest = rest.slice(end);
      if (rest.length === 0) break;
      yield { kind: 'checkpoint', signed: next.signed };
      next = yield* queue.next();
      begun = false;
    }
    if (rest.length > 0) yield { kind: 'events', events: rest };
  }
  while (next !== undefined) {
    yield { kind: 'checkpoint', signed: next.signed };
    next = yield* queue.next();
  }
}

interface Placed {
  readonly signed: SignedCheckpoint;
  readonly checkpoint: Checkpoint;
}

class CheckpointQueue {
  readonly #checkpoints: AsyncIterator<SignedCheckpoint>;

  constructor(checkpoints: AsyncIterable<SignedCheckpoint>) {
    this.#checkpoints = checkpoints[Symbol.asyncIterator]();
  }

  /** The next that can be read; those before it that cannot are passed on where they stand. */
  async *next(): AsyncGenerator<LogPart, Placed | undefined> {
    for (;;) {
      const { done, value: signed } = await this.#checkpoints.next();
      if (done) return undefined;
      const checkpoint = readCheckpoint(signed.body);
      if (typeof checkpoint !== 'string') return { signed, checkpoint };
      yield { kind: 'checkpoint', signed };
    }
  }
}

/** How many of the events, which are in order, come no later than the place. */
const countUpTo = (events: readonly AuditedEvent[], place: Checkpoint['to']): number => {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const event = events[middle];
    if (event !== undefined && comparePlaces(event, place) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
};
