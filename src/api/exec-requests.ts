import { z } from 'zod';
import { execSpecSchema } from '../events/exec-events.ts';
import { boundedText, execIdSchema } from '../events/schemas.ts';
import { limits } from '../kernel/limits.ts';
import { boxReference, execStartSchema, signalNameSchema } from './requests.ts';

/** Requests about programs that run in boxes, field by field as in the proto. */

export const startExecSchema = z.strictObject({ start: execStartSchema });

export const attachRequestSchema = z.strictObject({
  attach: z
    .strictObject({
      execId: execIdSchema,
      offset: z
        .bigint()
        .max(BigInt(Number.MAX_SAFE_INTEGER), `must be at most ${Number.MAX_SAFE_INTEGER}`)
        .transform(Number)
        .optional(),
    })
    .optional(),
  stdin: z.instanceof(Uint8Array).optional(),
  stdinEnd: z.strictObject({}).optional(),
  resize: execSpecSchema.shape.tty,
  signal: signalNameSchema.optional(),
});
export type AttachParsed = z.infer<typeof attachRequestSchema>;

export const execReferenceSchema = z.strictObject({ execId: execIdSchema });

export const listExecsSchema = z.strictObject({
  box: boxReference,
  includeEnded: z.boolean(),
  pageSize: z.int().max(limits.pageSizeMax),
  pageToken: boundedText(256),
});

export const signalExecSchema = z.strictObject({ execId: execIdSchema, signal: signalNameSchema });
