import { z } from 'zod';
import type { Position, Version } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { type BoxEvent, boxEventSchema } from './box-events.ts';
import { type CopyEvent, copyEventSchema } from './copy-events.ts';
import { type ExecEvent, execEventSchema } from './exec-events.ts';
import { type HostEvent, hostEventSchema } from './host-events.ts';
import {
  actorSchema,
  boundedText,
  commandIdSchema,
  correlationIdSchema,
  type streamIdSchema,
  tenantIdSchema,
  type timestampSchema,
} from './schemas.ts';

/** Every event of every aggregate. */
export const domainEventSchema = z.discriminatedUnion('type', [
  ...boxEventSchema.options,
  ...execEventSchema.options,
  ...copyEventSchema.options,
  ...hostEventSchema.options,
]);
export type DomainEvent = BoxEvent | ExecEvent | CopyEvent | HostEvent;

/** Where an event came from: the same for all events of one command. */
const provenanceSchema = z.strictObject({
  tenant: tenantIdSchema,
  actor: actorSchema,
  /** The caller's words, if any. */
  reason: boundedText(limits.reasonMaxBytes).nullable(),
  commandId: commandIdSchema,
  /** The same for everything that one request led to. */
  correlationId: correlationIdSchema,
  /** The command, effect or event that led to this one; null when a caller did. */
  causationId: z.string().max(256).nullable(),
  /** W3C Trace Context, as received. */
  traceparent: z.string().max(256).nullable(),
});
export type Provenance = z.infer<typeof provenanceSchema>;

/**
 * An event as the log has it. `hash` is lower-case hexadecimal SHA-256 over the previous event's hash in its stream (32
 * zero bytes before the first) and the RFC 8785 JSON of all the rest, as stored, but `position` and `hash`.
 */
export type RecordedEvent<Event extends DomainEvent = DomainEvent> = Event & {
  readonly streamId: z.infer<typeof streamIdSchema>;
  readonly version: Version;
  readonly position: Position;
  /** Of the data as given here: an event that was stored in an earlier form is read, and named, in its newest. */
  readonly schemaVersion: number;
  readonly occurredAt: z.infer<typeof timestampSchema>;
  readonly hash: string;
} & Provenance;
