import { z } from 'zod';
import { limits } from '../kernel/limits.ts';
import { failureSchema } from './failure.ts';
import { boundedText, boxIdSchema, durationMsSchema } from './schemas.ts';

/** Which way files went, and where in the box. */
export const copyPlaceSchema = z.strictObject({
  boxId: boxIdSchema,
  generation: z.int().positive(),
  direction: z.enum(['in', 'out']),
  /** As the caller gave it; relative to the box's home. */
  path: boundedText(limits.pathMaxBytes).min(1),
});

/** What went through a copy that has ended well. */
export const copyTotalsSchema = z.strictObject({
  /** Files, directories and links. */
  entries: z.int().nonnegative(),
  /** Content of files. */
  bytes: z.int().nonnegative(),
  /** Of the tar stream, in lower-case hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  durationMs: durationMsSchema,
});

/** What becomes of one copy into a box or out of it. It is recorded once it is over. The files are bytes, and bytes are not events. */
export const copyEventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('copy.completed'),
    data: copyPlaceSchema.extend(copyTotalsSchema.shape),
  }),
  /** Nothing of it is in the box. What a caller had of a copy out by then is unknown. */
  z.strictObject({
    type: z.literal('copy.failed'),
    data: copyPlaceSchema.extend({ failure: failureSchema, durationMs: durationMsSchema }),
  }),
]);
export type CopyEvent = z.infer<typeof copyEventSchema>;
