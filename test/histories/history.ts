import { z } from 'zod';
import type { RecordedEvent } from '../../src/events/envelope.ts';
import { actorSchema } from '../../src/events/schemas.ts';
import { parseEvent } from '../../src/events/upcast.ts';
import * as ids from '../../src/kernel/ids.ts';
import type { JsonValue } from '../../src/kernel/json.ts';
import { timestamp } from '../../src/kernel/time.ts';
import { foldStream } from '../../src/main/folds.ts';

const json = z.json();

/** An event as it stands in the log: its data in the form it was written in, whatever upcasters there are since. */
const storedEventSchema = z.strictObject({
  version: z.int().positive(),
  type: z.string(),
  schemaVersion: z.int().positive(),
  data: json,
  tenant: z.string(),
  actor: actorSchema,
  reason: z.string().nullable(),
  commandId: z.string(),
  correlationId: z.string(),
  causationId: z.string().nullable(),
  traceparent: z.string().nullable(),
  occurredAt: z.string(),
  hash: z.string(),
});
export type StoredEvent = z.infer<typeof storedEventSchema>;

/** A stream with what the machine of its day made of it. Files of this form are never changed: they are the past. */
export const historySchema = z.strictObject({
  about: z.string(),
  streamId: z.string(),
  events: z.array(storedEventSchema).min(1),
  /** The view of a box; of any other stream, what its statechart keeps. */
  final: json,
});
export type History = z.infer<typeof historySchema>;

export const recordedEvent = (streamId: string, stored: StoredEvent): RecordedEvent => ({
  ...parseEvent(stored.type, stored.schemaVersion, stored.data as JsonValue),
  streamId: ids.streamId(streamId),
  version: ids.version(stored.version),
  position: ids.position(stored.version),
  schemaVersion: stored.schemaVersion,
  occurredAt: timestamp(stored.occurredAt),
  hash: stored.hash,
  tenant: ids.tenantId(stored.tenant),
  actor: stored.actor,
  reason: stored.reason,
  commandId: ids.commandId(stored.commandId),
  correlationId: ids.correlationId(stored.correlationId),
  causationId: stored.causationId,
  traceparent: stored.traceparent,
});

/** What this program makes of the first `length` events of a history. */
export const finalOf = (
  { streamId, events }: Pick<History, 'streamId' | 'events'>,
  length = events.length,
): JsonValue => {
  const recorded = events.slice(0, length).map((event) => recordedEvent(streamId, event));
  const { row, snapshot } = foldStream(ids.streamId(streamId), recorded);
  return JSON.parse(JSON.stringify(row?.view ?? snapshot)) as JsonValue; // as it would be written down
};
