import type { DomainEvent, RecordedEvent } from '../../src/events/envelope.ts';
import {
  commandId,
  correlationId,
  defaultTenant,
  position,
  streamId,
  version,
} from '../../src/kernel/ids.ts';
import { type Timestamp, timestamp } from '../../src/kernel/time.ts';

/** An event as the log would have it, the `at`-th of its stream. */
export const recordedFor = <Event extends DomainEvent>(
  stream: string,
  event: Event,
  at: number,
  occurredAt: Timestamp = timestamp('2026-11-25T12:00:00.000Z'),
): Event & Omit<RecordedEvent, 'type' | 'data'> => ({
  ...event,
  streamId: streamId(stream),
  version: version(at),
  position: position(at),
  schemaVersion: 1,
  occurredAt,
  hash: '',
  tenant: defaultTenant,
  actor: { kind: 'user', id: 'tester' },
  reason: null,
  commandId: commandId(`command-${at}`),
  correlationId: correlationId('story'),
  causationId: null,
  traceparent: null,
});
