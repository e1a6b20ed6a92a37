import { readCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { leafEntries, leafHashOf } from './leaf.ts';
import type { AuditedEvent, LogPart } from './log-parts.ts';
import { MerkleTree } from './merkle.ts';
import { type Place, samePlace } from './place.ts';

/** A checkpoint with the leaves that it was made of. */
export interface SealedBatch {
  readonly signed: SignedCheckpoint;
  readonly leafInputs: Uint8Array;
}

/** Where the events of a stream and the checkpoints that sign them are found. */
export interface StreamSource {
  /** Oldest first, above a version (default 0), each with its previous hash. */
  stream(streamId: string, afterVersion?: string): AsyncIterable<readonly AuditedEvent[]>;
  /** The checkpoint that covers a place; undefined when none does yet. */
  checkpointOf(place: Place): Promise<SealedBatch | undefined>;
}

/**
 * The events of one stream, each with its inclusion in a checkpoint, and each such checkpoint before its events; before those
 * that none covers, that there is none.
 */
export async function* streamExtract(source: StreamSource, streamId: string): AsyncGenerator<LogPart> {
  let batch: OpenBatch | undefined;
  for await (const page of source.stream(streamId))
    for (const event of page) {
      if (batch === undefined || !batch.holds(event)) {
        const sealed = await source.checkpointOf(event);
        batch = sealed && openBatch(sealed);
        yield sealed === undefined ? { kind: 'uncovered' } : { kind: 'checkpoint', signed: sealed.signed };
      }
      yield { kind: 'events', events: [{ ...event, inclusion: batch?.inclusionOf(event) ?? null }] };
    }
}

interface OpenBatch {
  holds(place: Place): boolean;
  /** Undefined when the event is not among what the checkpoint was made of. */
  inclusionOf(event: AuditedEvent): NonNullable<AuditedEvent['inclusion']> | undefined;
}

export const openBatch = ({ signed, leafInputs }: SealedBatch): OpenBatch => {
  const entries = [...leafEntries(leafInputs)];
  const tree = new MerkleTree(entries.map(leafHashOf));
  const checkpoint = readCheckpoint(signed.body);
  const sequence = typeof checkpoint === 'string' ? 0 : checkpoint.sequence;
  const indexes = new Map(
    entries.map(({ transactionId, position }, index) => [`${transactionId}.${position}`, index]),
  );
  const indexOf = ({ transactionId, position }: Place) => indexes.get(`${transactionId}.${position}`);
  return {
    holds: (place) => indexOf(place) !== undefined,
    inclusionOf: (event) => {
      const index = indexOf(event);
      const entry = index === undefined ? undefined : entries[index];
      if (index === undefined || entry === undefined || !samePlace(entry, event)) return undefined;
      return { sequence, index, path: tree.path(index) };
    },
  };
};
