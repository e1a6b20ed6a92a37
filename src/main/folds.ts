import { aggregateForStream } from '../commands/aggregates.ts';
import { boxRow } from '../commands/stream-append.ts';
import { fingerprintOf } from '../commands/stream-states.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { StreamId } from '../kernel/ids.ts';
import type { Folded, Folding } from '../store/rebuild.ts';

/** The one fold that heads, rows and proofs are made by. */
export const folding: Folding = {
  evolve: (state, event) => aggregateForStream(event.streamId).evolve(state, event),
  result: (streamId, state) => {
    const aggregate = aggregateForStream(streamId);
    return {
      snapshot: aggregate.persist(state),
      fingerprint: fingerprintOf(aggregate),
      row: boxRow(aggregate.view(state)),
    };
  },
};

/** What a whole stream's events amount to. */
export const foldStream = (streamId: StreamId, events: readonly RecordedEvent[]): Folded => {
  let state: unknown;
  for (const event of events) state = folding.evolve(state, event);
  return folding.result(streamId, state);
};
