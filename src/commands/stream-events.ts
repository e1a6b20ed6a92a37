import type { BoxView } from '../events/box-view.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import { noVersion, type StreamId, type Version } from '../kernel/ids.ts';
import { aggregateForStream } from './aggregates.ts';
import type { EventLog } from './event-store.ts';
import type { StreamState } from './stream-state.ts';

const pageSize = 500;

interface ReadOptions {
  /** The last version that is wanted; undefined: to the end. */
  readonly upTo?: Version | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A stream's events from its first on, a page in memory at a time. */
export async function* streamEvents(
  log: EventLog,
  streamId: StreamId,
  { upTo, signal }: ReadOptions = {},
): AsyncGenerator<RecordedEvent, void, undefined> {
  for (let after = noVersion; upTo === undefined || after < upTo; ) {
    signal?.throwIfAborted();
    const size = upTo !== undefined && upTo - after < pageSize ? Number(upTo - after) : pageSize;
    const page = await log.readStream(streamId, after, size);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < size) return;
    after = last.version;
  }
}

export const emptyStream = (streamId: StreamId): StreamState => ({
  streamId,
  version: noVersion,
  hash: '',
  tenant: undefined,
  state: undefined,
});

/** The stream after one more event. */
export const foldOn = (stream: StreamState, event: RecordedEvent): StreamState => {
  const { streamId, version, hash, tenant } = event;
  assert(version === stream.version + 1n, `${streamId} goes from version ${stream.version} to ${version}`);
  return { streamId, version, hash, tenant, state: aggregateForStream(streamId).evolve(stream.state, event) };
};

/** What users see of a stream's aggregate; null before its first event, and for what is no box. */
export const viewOf = ({ streamId, state }: StreamState): BoxView | null =>
  state === undefined ? null : aggregateForStream(streamId).view(state);
