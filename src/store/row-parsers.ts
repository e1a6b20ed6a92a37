import { z } from 'zod';
import type { BoxRecord, Head } from '../commands/event-store.ts';
import type { ClaimedEffect, DueEffect, OverdueEffect } from '../effects/outbox.ts';
import { boxViewSchema } from '../events/box-view.ts';
import { type EffectIntent, effectIntentSchema, effectKindSchema } from '../events/effects.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import {
  actorSchema,
  boxIdSchema,
  commandIdSchema,
  correlationIdSchema,
  effectIdSchema,
  hostIdSchema,
  streamIdSchema,
  tenantIdSchema,
} from '../events/schemas.ts';
import { type EventReader, parseEvent, schemaVersionOf } from '../events/upcast.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { position, version } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import { timestampFromMs } from '../kernel/time.ts';

/**
 * The door between the database and the program: every row passes one of these parsers, and one that does not fit is
 * `Internal`, naming what is wrong with it. `int8` and `xid8` arrive as text, `bytea` as a buffer.
 */
export const rowParser =
  <Row>(what: string, schema: z.ZodType<Row>) =>
  (row: unknown): Row => {
    const parsed = schema.safeParse(row);
    if (parsed.success) return parsed.data;
    throw notUnderstood(what, parsed.error);
  };

const notUnderstood = (what: string, cause: unknown) =>
  new BoxledgerError('Internal', `the database holds ${what} that cannot be understood`, {
    faults:
      cause instanceof z.ZodError
        ? cause.issues.map((issue) => ({ field: issue.path.join('.'), problem: issue.message }))
        : [],
    help: 'It was written by a newer version, or changed by hand.',
    cause,
  });

const bigintText = z.string().regex(/^\d+$/);
export const versionColumn = z.union([bigintText, z.int()]).transform((value) => version(value));
const positionColumn = bigintText.transform((text) => position(text));
export const timeColumn = z.date().transform((date) => timestampFromMs(date.getTime()));
const hashColumn = z.instanceof(Uint8Array).transform((bytes) => Buffer.from(bytes).toString('hex'));
/** `jsonb` can hold nothing but JSON, so it is not walked through. */
export const jsonColumn = z.unknown().transform((value) => value as JsonValue);

export const parseHead: (row: unknown) => Head = rowParser(
  'a head',
  z
    .object({
      stream_id: streamIdSchema,
      tenant: tenantIdSchema,
      version: versionColumn,
      hash: hashColumn,
      snapshot: jsonColumn,
      fingerprint: z.string(),
    })
    .transform(({ stream_id, ...head }) => ({ streamId: stream_id, ...head })),
);

const eventColumns = z.object({
  position: positionColumn,
  transaction_id: bigintText,
  stream_id: streamIdSchema,
  version: versionColumn,
  type: z.string(),
  schema_version: z.int().positive(),
  data: jsonColumn,
  tenant: tenantIdSchema,
  actor_kind: actorSchema.shape.kind,
  actor_id: actorSchema.shape.id,
  reason: z.string().nullable(),
  command_id: commandIdSchema,
  correlation_id: correlationIdSchema,
  causation_id: z.string().nullable(),
  traceparent: z.string().nullable(),
  occurred_at: timeColumn,
  hash: hashColumn,
});
const parseEventColumns = rowParser('an event', eventColumns);

export interface EventRow {
  /** 64-bit id of the transaction that appended it, as text. */
  readonly transactionId: string;
  readonly event: RecordedEvent;
}

/** What is read is the newest form of an event, and says so: `schemaVersion` is that of the data given, not as stored. */
export const eventRowParser =
  (reader: EventReader) =>
  (row: unknown): EventRow => {
    const columns = parseEventColumns(row);
    const event = eventOf(columns, reader);
    return {
      transactionId: columns.transaction_id,
      event: {
        streamId: columns.stream_id,
        version: columns.version,
        position: columns.position,
        schemaVersion: reader.schemaVersionOf(event.type),
        occurredAt: columns.occurred_at,
        hash: columns.hash,
        tenant: columns.tenant,
        actor: { kind: columns.actor_kind, id: columns.actor_id },
        reason: columns.reason,
        commandId: columns.command_id,
        correlationId: columns.correlation_id,
        causationId: columns.causation_id,
        traceparent: columns.traceparent,
        // Last: properties added one by one to what was spread cost V8 more than all the rest of the parsing.
        ...event,
      },
    };
  };

export const parseEventRow = eventRowParser({ parseEvent, schemaVersionOf });

const eventOf = (
  { type, schema_version, data, stream_id, version }: z.infer<typeof eventColumns>,
  reader: EventReader,
) => {
  try {
    return reader.parseEvent(type, schema_version, data);
  } catch (error) {
    throw notUnderstood(`event ${version} of ${stream_id}, a ${type}`, error);
  }
};

const answerSchema = z.strictObject({
  kind: z.enum(['accepted', 'already-so']),
  streamId: streamIdSchema,
  version: versionColumn,
});

/** What `boxledger.append_each` answers to one request; positions by stream and event, in the request's order. */
const appendReplySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('appended'), positions: z.array(z.array(z.int().positive())) }),
  z.strictObject({ kind: z.literal('version-conflict'), streamId: streamIdSchema }),
  z.strictObject({ kind: z.literal('answered-before'), answer: answerSchema }),
  z.strictObject({ kind: z.literal('command-reused') }),
  z.strictObject({ kind: z.literal('name-taken'), name: z.string() }),
  z.strictObject({ kind: z.literal('claim-lost') }),
]);
export type AppendReply = z.infer<typeof appendReplySchema>;
export const parseAppendReplies = rowParser(
  'a reply',
  z.object({ replies: z.array(appendReplySchema) }).transform(({ replies }) => replies),
);

/** Of the events of a batch that `boxledger.append_together` wrote, in their order. */
export const parsePositions = rowParser(
  'a reply',
  z.object({ positions: z.array(z.int().positive()) }).transform(({ positions }) => positions),
);

export const parseCommand = rowParser(
  'a command',
  z
    .object({
      digest: z.string(),
      answer_kind: z.enum(['accepted', 'already-so']),
      stream_id: streamIdSchema,
      version: versionColumn,
    })
    .transform((row) => ({
      digest: row.digest,
      answer: { kind: row.answer_kind, streamId: row.stream_id, version: row.version },
    })),
);

export const parseBox: (row: unknown) => BoxRecord = rowParser(
  'a box',
  z
    .object({
      box_id: boxIdSchema,
      tenant: tenantIdSchema,
      name: z.string(),
      state: z.string(),
      labels: z.record(z.string(), z.string()),
      host_id: z.string().nullable(),
      version: versionColumn,
      created_at: timeColumn,
      updated_at: timeColumn,
      view: boxViewSchema,
    })
    .transform((row) => ({
      boxId: row.box_id,
      tenant: row.tenant,
      name: row.name,
      state: row.state,
      labels: row.labels,
      hostId: row.host_id,
      version: row.version,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      view: row.view,
    })),
);

export const parseDueEffect: (row: unknown) => DueEffect = rowParser(
  'a due effect',
  z
    .object({ effect_id: effectIdSchema, host_id: hostIdSchema, delay_ms: z.int().nonnegative() })
    .transform((row) => ({ effectId: row.effect_id, hostId: row.host_id, delayMs: row.delay_ms })),
);

const parseClaimColumns = rowParser(
  'a claimed effect',
  z.object({
    effect_id: z.string(),
    attempt: z.int().positive(),
    correlation_id: correlationIdSchema,
    kind: z.string(),
    tenant: z.string(),
    box_id: z.string(),
    generation: z.int(),
    host_id: z.string(),
    epoch: z.int(),
    args: jsonColumn,
    not_before: timeColumn.nullable(),
    deadline: timeColumn,
    created_at: timeColumn,
  }),
);
const parseIntent: (intent: unknown) => EffectIntent = rowParser('a claimed effect', effectIntentSchema);

export const parseClaimedEffect = (row: unknown): ClaimedEffect => {
  const columns = parseClaimColumns(row);
  const intent = parseIntent({
    effectId: columns.effect_id,
    tenant: columns.tenant,
    boxId: columns.box_id,
    generation: columns.generation,
    placement: { hostId: columns.host_id, epoch: columns.epoch },
    notBefore: columns.not_before,
    deadline: columns.deadline,
    kind: columns.kind,
    args: columns.args,
  });
  return {
    effectId: intent.effectId,
    attempt: columns.attempt,
    correlationId: columns.correlation_id,
    askedAt: columns.created_at,
    intent,
  };
};

export const parseOverdueEffect: (row: unknown) => OverdueEffect = rowParser(
  'an overdue effect',
  z
    .object({
      effect_id: effectIdSchema,
      attempt: z.int().positive(),
      tenant: tenantIdSchema,
      box_id: boxIdSchema,
      generation: z.int().nonnegative(),
      kind: effectKindSchema,
      correlation_id: correlationIdSchema,
    })
    .transform((row) => ({
      effectId: row.effect_id,
      attempt: row.attempt,
      tenant: row.tenant,
      boxId: row.box_id,
      generation: row.generation,
      kind: row.kind,
      correlationId: row.correlation_id,
    })),
);
