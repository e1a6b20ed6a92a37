import { hash } from 'node:crypto';
import type { JsonValue } from '../kernel/json.ts';
import { canonicalJson } from './canonical-json.ts';
import type { StoredEvent } from './stored-event.ts';

/** What stands for the previous hash before the first event of a stream. */
export const noHash = '0'.repeat(64);

/** The part of an event that its hash covers, as RFC 8785 JSON. `data` comes in canonical form already. */
export const envelopeJson = (event: StoredEvent, canonicalData: string): string =>
  `{"actor":{"id":${text(event.actorId)},"kind":${text(event.actorKind)}},"causationId":${text(event.causationId)},` +
  `"commandId":${text(event.commandId)},"correlationId":${text(event.correlationId)},"data":${canonicalData},` +
  `"occurredAt":${text(event.occurredAt)},"reason":${text(event.reason)},"schemaVersion":${event.schemaVersion},` +
  `"streamId":${text(event.streamId)},"tenant":${text(event.tenant)},"traceparent":${text(event.traceparent)},` +
  `"type":${text(event.type)},"version":${event.version}}`;

const text = (value: string | null) => JSON.stringify(value);

/** Data in canonical form; undefined when it is not JSON, or not as any writer of the log would have written it. */
export const canonicalDataOf = (data: string): string | undefined => {
  if (data === '{}') return data;
  try {
    const value: JsonValue = JSON.parse(data);
    return canonicalJson(value);
  } catch {
    return undefined; // said by whoever asked
  }
};

let scratch = Buffer.alloc(64 * 1024);

/** SHA-256 over the 32 bytes of `previous` and the envelope's UTF-8. Hexadecimal. */
export const digestOf = (previous: string, envelope: string): string => {
  const bytesMax = 32 + envelope.length * 3;
  if (scratch.length < bytesMax) scratch = Buffer.alloc(bytesMax * 2);
  scratch.write(previous, 0, 32, 'hex');
  const bytes = scratch.write(envelope, 32, 'utf8');
  return hash('sha256', scratch.subarray(0, 32 + bytes), 'hex');
};

/** The hash that the event should have after `previous`; undefined when its data cannot be hashed. */
export const expectedHash = (previous: string, event: StoredEvent): string | undefined => {
  const data = canonicalDataOf(event.data);
  return data === undefined ? undefined : digestOf(previous, envelopeJson(event, data));
};
