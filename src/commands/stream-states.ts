import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { assert } from '../kernel/assert.ts';
import type { StreamId, TenantId, Version } from '../kernel/ids.ts';
import { type AnyAggregate, aggregateForStream } from './aggregates.ts';
import type { AppendedStream, EventLog, EventStore } from './event-store.ts';
import { emptyStream, foldOn, streamEvents } from './stream-events.ts';
import type { StreamState } from './stream-state.ts';

/** Hash of the statechart's definition: a snapshot that another one made is folded afresh. */
export const fingerprintOf = (aggregate: AnyAggregate): string => {
  let fingerprint = fingerprints.get(aggregate.definition);
  if (fingerprint === undefined) {
    fingerprint = createHash('sha256').update(aggregate.definition).digest('hex').slice(0, 16);
    fingerprints.set(aggregate.definition, fingerprint);
  }
  return fingerprint;
};
const fingerprints = new Map<string, string>();

/**
 * States of streams, kept for the next command. A kept state may be behind the log: whoever appends on top of it is told
 * by the version conflict, and whoever only reads from it asks for a fresh one.
 */
export class StreamStates {
  readonly #store: EventStore;
  readonly #log: EventLog;
  readonly #kept: LRUCache<StreamId, StreamState>;

  constructor(store: EventStore, log: EventLog, keep: number) {
    this.#store = store;
    this.#log = log;
    this.#kept = new LRUCache({ max: keep });
  }

  kept(streamId: StreamId): StreamState | undefined {
    return this.#kept.get(streamId);
  }

  forget(streamId: StreamId): void {
    this.#kept.delete(streamId);
  }

  keep(appended: AppendedStream, state: unknown, tenant: TenantId): StreamState {
    const { streamId, version, hash } = appended;
    const stream = { streamId, version, hash, tenant, state };
    this.#kept.set(streamId, stream);
    return stream;
  }

  /** From the database: the head if this statechart made it, else a fold of the stream. */
  async load(streamId: StreamId): Promise<StreamState> {
    const aggregate = aggregateForStream(streamId);
    const head = await this.#store.load(streamId);
    if (head === undefined) return emptyStream(streamId);
    const { version, hash, tenant } = head;
    const stream: StreamState =
      head.fingerprint === fingerprintOf(aggregate)
        ? { streamId, version, hash, tenant, state: aggregate.restore(head.snapshot) }
        : await this.foldTo(streamId, version);
    this.#kept.set(streamId, stream);
    return stream;
  }

  /** The fold of the stream's events up to `version`. */
  async foldTo(streamId: StreamId, version: Version): Promise<StreamState> {
    let stream = emptyStream(streamId);
    for await (const event of streamEvents(this.#log, streamId, { upTo: version }))
      stream = foldOn(stream, event);
    assert(stream.version === version, `${streamId} ends at version ${stream.version}, before ${version}`);
    return stream;
  }
}
