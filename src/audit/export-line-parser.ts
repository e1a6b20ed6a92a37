import { z } from 'zod';
import type { JsonObject, JsonValue } from '../kernel/json.ts';
import { canonicalJson } from './canonical-json.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import { type ExportKey, type ExportScope, exportFormat } from './export-lines.ts';
import type { AuditedEvent, Inclusion } from './log-parts.ts';

export type ExportLine =
  | { readonly kind: 'header'; readonly scope: ExportScope }
  | { readonly kind: 'key'; readonly key: ExportKey }
  | { readonly kind: 'event'; readonly event: AuditedEvent }
  | { readonly kind: 'checkpoint'; readonly signed: SignedCheckpoint }
  | { readonly kind: 'end'; readonly events: number; readonly checkpoints: number };

const count = z.int().nonnegative();
const sequence = z.int().positive();
const hex64 = /^[0-9a-f]{64}$/;
const digits = /^(0|[1-9]\d{0,19})$/;

export const inclusionSchema = z.strictObject({
  sequence,
  index: count,
  path: z.array(z.string().regex(hex64)).max(64),
});
export const checkpointSchema = z.strictObject({
  kind: z.literal('checkpoint'),
  body: z.record(z.string(), z.json()),
  signature: z.string(),
});
const otherLines = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('header'),
    format: z.literal(exportFormat),
    scope: z.strictObject({
      streamId: z.string().nullable(),
      fromSequence: sequence,
      toSequence: sequence.nullable(),
    }),
  }),
  z.strictObject({
    kind: z.literal('key'),
    keyId: z.string(),
    publicKey: z.string().regex(hex64),
    firstSequence: sequence.nullable(),
    lastSequence: sequence.nullable(),
  }),
  checkpointSchema,
  z.strictObject({ kind: z.literal('end'), events: count, checkpoints: count }),
]);

/** What a line says, or in words why it says nothing. */
export const parseExportLine = (text: string): ExportLine | string => {
  const value = jsonOf(text);
  if (value === undefined) return 'is not JSON';
  if (!isObject(value)) return 'is not a JSON object';
  try {
    return value['kind'] === 'event' ? eventOf(value) : otherOf(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return error.message; // of the canonical form
  }
};

export const jsonOf = (text: string): JsonValue | undefined => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // said by whoever asked
  }
};

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** By hand, because it is done for every event. */
const eventOf = (line: JsonObject): ExportLine | string => {
  const { transactionId, position, hash, previousHash, envelope, proof } = line;
  const isPlace = isDigits(transactionId) && isDigits(position);
  if (!isPlace) return 'has no place in the log';
  if (!isHash(hash) || !(previousHash === undefined || previousHash === '' || isHash(previousHash)))
    return 'has no hash';
  if (!isObject(envelope)) return 'has no envelope';
  const { streamId, version } = envelope;
  if (typeof streamId !== 'string' || !Number.isSafeInteger(version)) return 'names no event of a stream';
  for (const key of Object.keys(line))
    if (!eventKeys.has(key)) return `has an unknown member ${JSON.stringify(key)}`;
  let inclusion: Inclusion | undefined;
  if (proof !== undefined) {
    const parsed = inclusionSchema.safeParse(proof);
    if (!parsed.success) return 'has a proof that is none';
    inclusion = parsed.data;
  }
  return {
    kind: 'event',
    event: {
      transactionId,
      position,
      hash,
      previousHash,
      inclusion,
      streamId,
      version: String(version),
      envelope: canonicalJson(envelope),
    },
  };
};

const eventKeys = new Set(['kind', 'transactionId', 'position', 'previousHash', 'hash', 'envelope', 'proof']);
const isDigits = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && digits.test(value);
const isHash = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && hex64.test(value);

const otherOf = (value: JsonObject): ExportLine | string => {
  const parsed = otherLines.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `is no line of an export: ${issue?.path.join('.') || 'kind'}: ${issue?.message}`;
  }
  const line = parsed.data;
  switch (line.kind) {
    case 'header':
      return { kind: 'header', scope: line.scope };
    case 'key': {
      const { kind, ...key } = line;
      return { kind, key };
    }
    case 'checkpoint':
      return { kind: 'checkpoint', signed: { body: canonicalJson(line.body), signature: line.signature } };
    case 'end':
      return line;
    default:
      return line satisfies never;
  }
};
