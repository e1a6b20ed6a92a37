import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';

/** Everything of an event that its hash covers, as it is stored (never as an upcaster makes it). */
export type HashedEvent = Omit<RecordedEvent, 'position' | 'hash' | 'type' | 'data'> & {
  readonly type: string;
  readonly data: unknown;
};

/** What stands for the previous hash before the first event of a stream. */
const noHash = '0'.repeat(64);

/** The RFC 8785 JSON of an event's data. */
export const canonicalData = (data: unknown): string => {
  const canonical = canonicalize(data);
  assert(canonical !== undefined, 'the data of an event has a canonical form');
  return canonical;
};

const { stringify } = JSON;

/**
 * The hash that binds an event to all before it in its stream: SHA-256 over the 32 bytes of `previousHash` (zero for
 * `''`) followed by the UTF-8 bytes of the RFC 8785 JSON of one object with exactly these keys:
 *
 *   actor {id, kind}, causationId, commandId, correlationId, data, occurredAt, reason, schemaVersion, streamId,
 *   tenant, traceparent, type, version
 *
 * `version` and `schemaVersion` are numbers; what does not apply is null, never left out. Lower-case hexadecimal. Anybody
 * can compute it from an export, so it never changes. `data`: the event's `canonicalData`, where it is at hand.
 */
export const eventHash = (
  previousHash: string,
  event: HashedEvent,
  data = canonicalData(event.data),
): string => {
  const previous = Buffer.from(previousHash === '' ? noHash : previousHash, 'hex');
  assert(previous.length === 32, `"${previousHash}" is not a SHA-256 in hexadecimal`);
  // Keys in their order; ids, moments and types hold nothing that JSON escapes.
  const canonical =
    `{"actor":{"id":${stringify(event.actor.id)},"kind":"${event.actor.kind}"},` +
    `"causationId":${stringify(event.causationId)},"commandId":${stringify(event.commandId)},` +
    `"correlationId":${stringify(event.correlationId)},"data":${data},"occurredAt":"${event.occurredAt}",` +
    `"reason":${stringify(event.reason)},"schemaVersion":${event.schemaVersion},"streamId":"${event.streamId}",` +
    `"tenant":"${event.tenant}","traceparent":${stringify(event.traceparent)},"type":"${event.type}",` +
    `"version":${event.version}}`;
  return hash('sha256', Buffer.concat([previous, Buffer.from(canonical, 'utf8')]), 'hex');
};
