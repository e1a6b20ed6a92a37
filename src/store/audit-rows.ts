import { z } from 'zod';
import type { ArchiveRecord } from '../audit/archive-record.ts';
import { envelopeOf } from '../audit/event-digest.ts';
import type { AuditedEvent } from '../audit/log-parts.ts';
import { readPublicKey } from '../audit/public-keys.ts';
import type { StoredEvent } from '../audit/stored-event.ts';
import { BoxledgerError } from '../kernel/errors.ts';

/**
 * Rows of the log for whoever verifies it: text as the server sends it, read without a schema. What does not fit is for the
 * verifier to find, not a reason to stop.
 */

/** Makes `pg` give every column as the text that the server has sent. */
export const asText = { getTypeParser: () => (text: string) => text };

/** What the connection must be set to for `storedEvent` to understand its times and hashes. */
export const textSettings = "SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'";

export type TextRow = readonly (string | null)[];

/** A row of the `audit-*.sql` that select events; `previous_hash` is the last column where it is joined. */
export const auditedEvent = (row: TextRow): AuditedEvent => {
  const stored = storedEvent(row);
  const { transactionId, position, streamId, version, hash } = stored;
  const event = { transactionId, position, streamId, version, hash, envelope: envelopeOf(stored) };
  return row.length === columns ? event : { ...event, previousHash: bytesText(row[columns] ?? '') };
};

/** How many there are without the previous hash. */
const columns = 17;

const storedEvent = (row: TextRow): StoredEvent => ({
  transactionId: row[0] ?? '0',
  position: row[1] ?? '0',
  streamId: row[2] ?? '',
  version: row[3] ?? '',
  type: row[4] ?? '',
  schemaVersion: row[5] ?? '',
  data: row[6] ?? '',
  tenant: row[7] ?? '',
  actorKind: row[8] ?? '',
  actorId: row[9] ?? '',
  reason: row[10] ?? null,
  commandId: row[11] ?? '',
  correlationId: row[12] ?? '',
  causationId: row[13] ?? null,
  traceparent: row[14] ?? null,
  occurredAt: momentText(row[15] ?? ''),
  hash: bytesText(row[16] ?? ''),
});

/** `2026-11-25 12:00:00.12+00` as RFC 3339 with milliseconds; anything else (infinity, years of five digits) stays. */
const momentText = (text: string): string => {
  if (text.length < 22 || text.length > 26 || !text.endsWith('+00')) return text;
  const fraction = text.slice(20, -3);
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.padEnd(3, '0')}Z`;
};

const bytesText = (text: string): string => text.slice(2);

const archiveRow = z
  .object({
    number: z.int(),
    file: z.string(),
    sha256: z.string(),
    events: z.number(),
    from_sequence: z.int(),
    to_sequence: z.int(),
    to_transaction_id: z.string(),
    to_position: z.string(),
  })
  .transform(
    ({ from_sequence, to_sequence, to_transaction_id, to_position, ...row }): ArchiveRecord => ({
      ...row,
      fromSequence: from_sequence,
      toSequence: to_sequence,
      to: { transactionId: to_transaction_id, position: to_position },
    }),
  );
export const archiveRecord = (row: unknown): ArchiveRecord => archiveRow.parse(row);

export const publicKey = (hex: string) => {
  const key = readPublicKey(hex);
  if (key === undefined)
    throw new BoxledgerError('Internal', `the database holds ${hex}, which is no public key`);
  return key;
};
