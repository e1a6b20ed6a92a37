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
import { position, version } from '../kernel/ids.ts';
import { eventHash } from './event-hash.ts';
import type { AppendReply } from './row-parsers.ts';

/** An event that knows all of its envelope but the position, which only the database can give. */
type NumberedEvent = Omit<RecordedEvent, 'position' | 'type' | 'data'> & DomainEvent;

/** A request with its events numbered and chained, ready to be sent. */
export interface PreparedAppend {
  /** One element of the array that `boxledger.append` takes (migrations/0002-append.sql). */
  readonly json: string;
  /** Its least stream id: the first head that it locks. */
  readonly lockKey: string;
  readonly streams: readonly (readonly NumberedEvent[])[];
}

export const prepareAppend = (request: AppendRequest): PreparedAppend => {
  const streams = request.streams.map((stream) => chain(request, stream));
  const { provenance, command, settles } = request;
  assert(command.id === provenance.commandId, 'events name the command that they are answered to');
  const json = JSON.stringify({
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
    streams: request.streams.map((stream, index) => encodeStream(stream, streams[index] ?? [])),
  });
  const lockKey = request.streams.map(({ streamId }) => streamId).sort()[0] ?? command.answer.streamId;
  return { json, lockKey, streams };
};

/** Gives each event its version and its hash over the one before it. */
const chain = (request: AppendRequest, stream: StreamAppend): NumberedEvent[] => {
  const { streamId, expectedVersion, previousHash } = stream;
  assert(
    (expectedVersion === 0n) === (previousHash === ''),
    `${streamId} has a hash exactly when it has events`,
  );
  let hash = previousHash;
  return stream.events.map((event, index) => {
    const numbered = {
      ...event,
      ...request.provenance,
      streamId,
      version: version(expectedVersion + BigInt(index) + 1n),
      schemaVersion: schemaVersionOf(event.type),
      occurredAt: request.occurredAt,
    };
    hash = eventHash(hash, numbered);
    return { ...numbered, hash };
  });
};

const encodeStream = (stream: StreamAppend, events: readonly NumberedEvent[]) => {
  const last = events.at(-1);
  assert(last !== undefined, `an append to ${stream.streamId} has events`);
  return {
    streamId: stream.streamId,
    expectedVersion: Number(stream.expectedVersion),
    previousHash: stream.previousHash,
    version: Number(last.version),
    hash: last.hash,
    fingerprint: stream.fingerprint,
    snapshot: stream.snapshot,
    events: events.map(({ version, schemaVersion, type, data, hash }) => ({
      version: Number(version),
      schemaVersion,
      type,
      data,
      hash,
    })),
    effects: stream.effects.map(encodeEffect),
    cancels: stream.cancels,
    row: stream.row,
  };
};

const encodeEffect = ({ placement, ...intent }: EffectIntent) => ({ ...intent, ...placement });

/** Where its streams end once it is appended. */
export const endsOf = ({ streams }: PreparedAppend): readonly StreamEnd[] =>
  streams.flatMap((events) => events.at(-1) ?? []);

/** The database's reply, in the words of the port. */
export const appendResult = (prepared: PreparedAppend, reply: AppendReply): AppendResult => {
  if (reply.kind !== 'appended') return reply;
  return {
    kind: 'appended',
    streams: prepared.streams.map((events, index) => recorded(events, reply.positions[index] ?? [])),
  };
};

const recorded = (events: readonly NumberedEvent[], positions: readonly number[]): AppendedStream => {
  const last = events.at(-1);
  assert(last !== undefined && positions.length === events.length, 'every appended event has a position');
  return {
    streamId: last.streamId,
    version: last.version,
    hash: last.hash,
    events: events.map((event, index) => ({ ...event, position: position(positions[index] ?? 0) })),
  };
};
