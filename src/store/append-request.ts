import type {
  AppendedStream,
  AppendRequest,
  AppendResult,
  StreamAppend,
  StreamEnd,
} from '../commands/event-store.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import { schemaVersionOf } from '../events/upcast.ts';
import { assert } from '../kernel/assert.ts';
import { position, type StreamId, type Version, version } from '../kernel/ids.ts';
import { canonicalData, eventHash } from './event-hash.ts';
import type { AppendReply } from './row-parsers.ts';

/** An event that knows all of its envelope that its hash covers. */
type NumberedEvent = Omit<RecordedEvent, 'position' | 'hash' | 'type' | 'data'> & DomainEvent;

export interface ChainedEvent {
  readonly event: NumberedEvent;
  readonly hash: string;
  /** Its data as its hash covers it, which is also how it is sent. */
  readonly data: string;
}

/** New events of one stream, numbered and chained. */
export interface ChainedStream {
  readonly append: StreamAppend;
  readonly events: readonly ChainedEvent[];
  /** Of the last event. */
  readonly version: Version;
  readonly hash: string;
}

/** A request with its events numbered and chained, ready to be sent. */
export interface PreparedAppend {
  readonly request: AppendRequest;
  readonly streams: readonly ChainedStream[];
  /** The streams that it appends to, least first: the order in which heads are locked. */
  readonly streamIds: readonly StreamId[];
}

export const prepareAppend = (request: AppendRequest): PreparedAppend => {
  assert(
    request.command.id === request.provenance.commandId,
    'events name the command that they are answered to',
  );
  const streams = request.streams.map((append) => chain(request, append));
  const streamIds = request.streams.map(({ streamId }) => streamId).sort();
  return { request, streams, streamIds };
};

/** Gives each event its version and its hash over the one before it. */
const chain = (request: AppendRequest, append: StreamAppend): ChainedStream => {
  const { streamId, expectedVersion, previousHash } = append;
  assert(
    (expectedVersion === 0n) === (previousHash === ''),
    `${streamId} has a hash exactly when it has events`,
  );
  let [last, hash] = [expectedVersion, previousHash];
  const events = append.events.map((event): ChainedEvent => {
    last = version(last + 1n);
    const numbered = {
      ...event,
      ...request.provenance,
      streamId,
      version: last,
      schemaVersion: schemaVersionOf(event.type),
      occurredAt: request.occurredAt,
    };
    const data = canonicalData(event.data);
    hash = eventHash(hash, numbered, data);
    return { event: numbered, hash, data };
  });
  assert(events.length > 0, `an append to ${streamId} has events`);
  return { append, events, version: last, hash };
};

/** One element of the array that `boxledger.append_each` takes (migrations/0002-append.sql). */
export const requestJson = ({ request, streams }: PreparedAppend): string => {
  const { provenance, command, settles } = request;
  return JSON.stringify({
    tenant: provenance.tenant,
    actorKind: provenance.actor.kind,
    actorId: provenance.actor.id,
    reason: provenance.reason,
    commandId: command.id,
    correlationId: provenance.correlationId,
    causationId: provenance.causationId,
    traceparent: provenance.traceparent,
    occurredAt: request.occurredAt,
    digest: command.digest,
    answerKind: command.answer.kind,
    answerStreamId: command.answer.streamId,
    answerVersion: Number(command.answer.version),
    settles: settles && { effectId: settles.effectId, attempt: settles.attempt },
    streams: streams.map(encodeStream),
  });
};

const encodeStream = ({ append, events, version, hash }: ChainedStream) => ({
  streamId: append.streamId,
  expectedVersion: Number(append.expectedVersion),
  previousHash: append.previousHash,
  version: Number(version),
  hash,
  fingerprint: append.fingerprint,
  snapshot: append.snapshot,
  events: events.map(({ event: { version, schemaVersion, type, data }, hash }) => ({
    version: Number(version),
    schemaVersion,
    type,
    data,
    hash,
  })),
  effects: append.effects.map(encodeEffect),
  cancels: append.cancels,
  row: append.row,
});

const encodeEffect = ({ placement, ...intent }: EffectIntent) => ({ ...intent, ...placement });

/** Where its streams end once it is appended. */
export const endsOf = ({ streams }: PreparedAppend): readonly StreamEnd[] =>
  streams.map(({ append: { streamId }, version }) => ({ streamId, version }));

/** The database's reply, in the words of the port. */
export const appendResult = (prepared: PreparedAppend, reply: AppendReply): AppendResult => {
  if (reply.kind !== 'appended') return reply;
  return {
    kind: 'appended',
    streams: prepared.streams.map((stream, index) => recorded(stream, reply.positions[index] ?? [])),
  };
};

const recorded = (stream: ChainedStream, positions: readonly number[]): AppendedStream => {
  assert(positions.length === stream.events.length, 'every appended event has a position');
  return {
    streamId: stream.append.streamId,
    version: stream.version,
    hash: stream.hash,
    events: stream.events.map(({ event, hash }, index) => ({
      ...event,
      hash,
      position: position(positions[index] ?? 0),
    })),
  };
};
