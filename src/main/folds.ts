import { aggregateForStream } from '../commands/aggregates.ts';
import { fingerprintOf } from '../commands/stream-states.ts';
import { boxRow } from '../commands/submit.ts';
import type { Fold } from '../store/rebuild.ts';

/** What any stream's events amount to: the one fold that heads, rows and proofs are made by. */
export const foldStream: Fold = (streamId, events) => {
  const aggregate = aggregateForStream(streamId);
  let state: unknown;
  for (const event of events) state = aggregate.evolve(state, event);
  return {
    snapshot: aggregate.persist(state),
    fingerprint: fingerprintOf(aggregate),
    row: boxRow(aggregate.view(state)),
  };
};
