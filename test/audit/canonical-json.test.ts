import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/audit/canonical-json.ts';
import { digestOf, envelopeOf, noHash } from '../../src/audit/event-digest.ts';
import type { StoredEvent } from '../../src/audit/stored-event.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import { defaultTenant, version } from '../../src/kernel/ids.ts';
import type { JsonValue } from '../../src/kernel/json.ts';
import { eventHash } from '../../src/store/event-hash.ts';
import { appendRequest, boxAppend, startOfTime } from '../support/append-request.ts';

test('any JSON has the form that RFC 8785 gives it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonicalJson(value as JsonValue)).toBe(canonicalize(value));
    }),
  );
});

test('what is nested without end is refused', () => {
  let value: JsonValue = [];
  for (let depth = 0; depth < 10_000; depth += 1) value = [value];
  expect(() => canonicalJson(value)).toThrow(RangeError);
});

const stored = (data: string): StoredEvent => ({
  transactionId: '1',
  position: '1',
  streamId: 'box/bx_0000000000000001',
  version: '1',
  type: 'box.created',
  schemaVersion: '1',
  data,
  tenant: 'default',
  actorKind: 'user',
  actorId: 'ada',
  reason: null,
  commandId: 'c',
  correlationId: 'r',
  causationId: null,
  traceparent: null,
  occurredAt: startOfTime,
  hash: noHash,
});

test.each([
  '{"a": 1.0}',
  '{"a": 1.50}',
  '{"a": 9007199254740993}',
  '{"a": [12345678901234567890]}',
  '{"a": 0.10000000000000000001}',
])('a number that reads the same and is written otherwise is not passed over: %s', (data) =>
  expect(envelopeOf(stored(data))).toBeUndefined(),
);

test.each([
  '{"a": 1.5}',
  '{"a": "1.0"}',
  '{"a\\"1.0": 0.0000001}',
  '{"a": 1000000000000000000000}',
  '{"a": -12.25}',
  '{"a": 1500000000000000000000000}',
])('a number as the database writes it is taken: %s', (data) =>
  expect(envelopeOf(stored(data))).toBeTypeOf('string'),
);

test('what the store hashes is what the verifier hashes', () => {
  const options = boxOptionsSchema.parse({ labels: { 'é\u{1f600}': '"\\\u2028' } });
  const event = { type: 'box.created', data: { name: 'web', options } } as const;
  const { provenance } = appendRequest([boxAppend()], {});
  const recorded = {
    ...provenance,
    ...event,
    tenant: defaultTenant,
    streamId: boxAppend().streamId,
    version: version(1),
    schemaVersion: 1,
    occurredAt: startOfTime,
    reason: 'why "not"',
  };
  const envelope = envelopeOf({
    ...stored(JSON.stringify(event.data)),
    streamId: recorded.streamId,
    commandId: recorded.commandId,
    correlationId: recorded.correlationId,
    reason: recorded.reason,
  });
  expect(digestOf(noHash, envelope ?? '')).toBe(eventHash('', recorded));
});
