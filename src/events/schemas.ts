import { z } from 'zod';
import * as ids from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import { limits, utf8Bytes } from '../kernel/limits.ts';
import { timestamp } from '../kernel/time.ts';

/** Turns one of the kernel's throwing parsers into a schema, so that ids are minted in one place only. */
const parsedBy = <Out>(parse: (text: string) => Out) =>
  z.string().transform((text, context): Out => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as RangeError).message });
      return z.NEVER;
    }
  });

export const boxIdSchema = parsedBy(ids.boxId);
export const execIdSchema = parsedBy(ids.execId);
export const copyIdSchema = parsedBy(ids.copyId);
export const hostIdSchema = parsedBy(ids.hostId);
export const snapshotIdSchema = parsedBy(ids.snapshotId);
export const exportIdSchema = parsedBy(ids.exportId);
export const effectIdSchema = parsedBy(ids.effectId);
export const commandIdSchema = parsedBy(ids.commandId);
export const correlationIdSchema = parsedBy(ids.correlationId);
export const tenantIdSchema = parsedBy(ids.tenantId);
export const streamIdSchema = parsedBy(ids.streamId);
export const timestampSchema = parsedBy(timestamp);

/** U+FFFD is what a lenient decoder leaves of bytes that were not UTF-8; a lone surrogate cannot be stored as UTF-8. */
const isCleanText = (text: string) =>
  !text.includes('\u0000') && !text.includes('\uFFFD') && text.isWellFormed();

/** Text of at most `maxBytes` bytes of UTF-8, without NUL. */
export const boundedText = (maxBytes: number) =>
  z
    .string()
    .refine(isCleanText, 'must be valid UTF-8 without NUL')
    .refine((text) => utf8Bytes(text) <= maxBytes, `must be at most ${maxBytes} bytes of UTF-8`);

export const nameSchema = z
  .string()
  .regex(
    ids.namePattern,
    `must be 1 to ${limits.boxNameMaxBytes} of letters, digits, "_", "." or "-", beginning with a letter or digit`,
  );

export const durationMsSchema = z.int().nonnegative();

export const jsonObjectSchema: z.ZodType<JsonObject> = z.record(z.string(), z.json());

/** Who did it: a person or service (`user`), or the part of boxledger that found or finished something (`system`). */
export const actorSchema = z.strictObject({
  kind: z.enum(['user', 'system']),
  id: boundedText(limits.actorMaxBytes).min(1),
});
export type Actor = z.infer<typeof actorSchema>;
