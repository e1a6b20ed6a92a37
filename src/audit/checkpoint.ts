import { hash, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';

const digits = z.string().regex(/^(0|[1-9]\d{0,19})$/, 'must be a number in decimal');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');
const place = z.strictObject({ transactionId: digits, position: digits });

const checkpointSchema = z.strictObject({
  format: z.literal('boxledger-checkpoint/1'),
  /** 32 hexadecimal digits, made up for the first checkpoint: tells one log from another. */
  logId: z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hexadecimal digits'),
  /** 1, 2, … */
  sequence: z.int().positive(),
  /** SHA-256 of the previous checkpoint's body; 64 zeros in the first. */
  previous: sha256,
  /** The last place of the checkpoint before; not covered. */
  after: place,
  /** The last place that is covered. */
  to: place,
  /** Events covered by this one. */
  count: z.int().positive(),
  /** Events covered by this one and all before. */
  total: z.int().positive(),
  /** RFC 6962 tree head over the leaves of the events covered, in global order. */
  root: sha256,
  time: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'must be a UTC time with milliseconds'),
  keyId: z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 lower-case hexadecimal digits'),
});

/** A statement about all events between two places of the global order, chained to the statement before. */
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** As it is stored, sent and exported: the very bytes that were signed, and the signature in hexadecimal. */
export interface SignedCheckpoint {
  readonly body: string;
  readonly signature: string;
}

export const firstPrevious = '0'.repeat(64);

export const signCheckpoint = (checkpoint: Checkpoint, key: KeyObject): SignedCheckpoint => {
  const body = canonicalJson(checkpoint);
  return { body, signature: sign(null, Buffer.from(body), key).toString('hex') };
};

export const isSignedBy = ({ body, signature }: SignedCheckpoint, key: KeyObject): boolean =>
  /^[0-9a-f]{128}$/.test(signature) && verify(null, Buffer.from(body), key, Buffer.from(signature, 'hex'));

export const checkpointHash = ({ body }: SignedCheckpoint): string => hash('sha256', body, 'hex');

/** What the body says, or in words why it is no checkpoint's. */
export const readCheckpoint = (body: string): Checkpoint | string => {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return 'its body is not JSON';
  }
  const parsed = checkpointSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `its body is not a checkpoint's: ${issue?.path.join('.')}: ${issue?.message}`;
  }
  return canonicalJson(parsed.data) === body ? parsed.data : 'its body is not in canonical form';
};
