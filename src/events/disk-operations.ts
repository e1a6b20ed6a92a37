import { z } from 'zod';
import { limits } from '../kernel/limits.ts';
import { failureSchema } from './failure.ts';
import { processIdentitySchema } from './process.ts';
import {
  boundedText,
  boxIdSchema,
  durationMsSchema,
  exportIdSchema,
  nameSchema,
  snapshotIdSchema,
  timestampSchema,
} from './schemas.ts';

/** What a copy of a disk is worth: file systems were frozen or at rest, or it is as after a loss of power. */
export const consistencySchema = z.enum(['file-system', 'crash']);
export type Consistency = z.infer<typeof consistencySchema>;

/** `required`: an operation fails where the file systems cannot be frozen. */
export const consistencyWishSchema = z.enum(['best-effort', 'required']);
export type ConsistencyWish = z.infer<typeof consistencyWishSchema>;

/** How bytes came to a copy: shared until one side writes, copied, or the copy stands on the original. */
export const copyMethodSchema = z.enum(['reflink', 'copy', 'chain']);
export type CopyMethod = z.infer<typeof copyMethodSchema>;

export const snapshotNameSchema = boundedText(limits.snapshotNameMaxBytes)
  .min(1, 'must not be empty')
  .refine((name) => !name.startsWith('.'), 'must not begin with a dot')
  .refine((name) => !/[/\\]/.test(name), 'must not contain "/" or "\\"');

export const cloneSchema = z.strictObject({ boxId: boxIdSchema, name: nameSchema });
export type Clone = z.infer<typeof cloneSchema>;

/** What is done to the disk of a box; one at a time. */
export const diskOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('snapshot'), snapshotId: snapshotIdSchema, name: snapshotNameSchema }),
  z.strictObject({ kind: z.literal('snapshotRemoval'), snapshotId: snapshotIdSchema }),
  z.strictObject({ kind: z.literal('restore'), snapshotId: snapshotIdSchema }),
  z.strictObject({ kind: z.literal('clone'), clones: z.array(cloneSchema) }),
  z.strictObject({ kind: z.literal('export'), exportId: exportIdSchema, includeEnv: z.boolean() }),
]);
export type DiskOperation = z.infer<typeof diskOperationSchema>;

/** The operations for which the processes of a box that runs are held. */
export const bracketSchema = z.enum(['snapshot', 'clone', 'export']);

/** A snapshot as its box keeps it. `parent`: the snapshot that the disk stood at before. */
export const snapshotSchema = z.strictObject({
  snapshotId: snapshotIdSchema,
  name: snapshotNameSchema,
  parent: snapshotIdSchema.nullable(),
  consistency: consistencySchema,
  copy: copyMethodSchema,
  sizeBytes: z.int().nonnegative(),
  createdAt: timestampSchema,
});
export type Snapshot = z.infer<typeof snapshotSchema>;

/**
 * How the processes of a box are held while its disk is copied. `quiesce`: freeze, pause, copy, resume, thaw. `held`: nothing
 * writes, since the box is paused or at rest; what that is worth is known.
 */
export const bracketPlanSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('quiesce'),
    process: processIdentitySchema,
    consistency: consistencyWishSchema,
  }),
  z.strictObject({ kind: z.literal('held'), consistency: consistencySchema }),
]);
export type BracketPlan = z.infer<typeof bracketPlanSchema>;

/** What became of each step of the bracket. Durations are of the step; `pausedMs`: from pause to resume, 0 if not paused. */
export const bracketReportSchema = z.strictObject({
  consistency: consistencySchema,
  freezeMs: durationMsSchema,
  pausedMs: durationMsSchema,
  thawMs: durationMsSchema,
  freezeFailure: failureSchema.optional(),
  thawFailure: failureSchema.optional(),
});
export type BracketReport = z.infer<typeof bracketReportSchema>;

/** Where a box came from that was not made new. */
export const originSchema = z.discriminatedUnion('kind', [
  /** `version`: the event in the parent's stream that says that the clone was made. */
  z.strictObject({ kind: z.literal('clone'), boxId: boxIdSchema, version: z.int().positive() }),
  z.strictObject({
    kind: z.literal('import'),
    sha256: z.string(),
    sizeBytes: z.int().nonnegative(),
  }),
]);
export type Origin = z.infer<typeof originSchema>;
