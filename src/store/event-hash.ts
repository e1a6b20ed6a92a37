import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';

/** Everything of an event that its hash covers, as it is stored (never as an upcaster makes it). */
export type HashedEvent = Omit<RecordedEvent, 'position' | 'hash' | 'type' | 'data'> & {
  readonly type: string;
  readonly data: unknown;
};

/** What stands for the previous hash before the first event of a stream. */
const noHash = Buffer.alloc(32);

/**
 * The hash that binds an event to all before it in its stream: SHA-256 over the 32 bytes of `previousHash` (zero for
 * `''`) followed by the UTF-8 bytes of the RFC 8785 JSON of one object with exactly these keys:
 *
 *   actor {id, kind}, causationId, commandId, correlationId, data, occurredAt, reason, schemaVersion, streamId,
 *   tenant, traceparent, type, version
 *
 * `version` and `schemaVersion` are numbers; what does not apply is null, never left out. Lower-case hexadecimal. Anybody
 * can compute it from an export, so it never changes.
 */
export const eventHash = (previousHash: string, event: HashedEvent): string => {
  const canonical = canonicalize({
    actor: { id: event.actor.id, kind: event.actor.kind },
    causationId: event.causationId,
    commandId: event.commandId,
    correlationId: event.correlationId,
    data: event.data,
    occurredAt: event.occurredAt,
    reason: event.reason,
    schemaVersion: event.schemaVersion,
    streamId: event.streamId,
    tenant: event.tenant,
    traceparent: event.traceparent,
    type: event.type,
    version: Number(event.version),
  });
  assert(canonical !== undefined, 'an object has a canonical form');
  const previous = previousHash === '' ? noHash : Buffer.from(previousHash, 'hex');
  assert(previous.length === 32, `"${previousHash}" is not a SHA-256 in hexadecimal`);
  return createHash('sha256').update(previous).update(canonical, 'utf8').digest('hex');
};
