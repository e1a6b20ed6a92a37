import { z } from 'zod';
import { boxOptionsSchema } from './box-options.ts';
import {
  bracketReportSchema,
  cloneSchema,
  consistencySchema,
  consistencyWishSchema,
  copyMethodSchema,
  originSchema,
  snapshotNameSchema,
} from './disk-operations.ts';
import { failureSchema } from './failure.ts';
import { exitSchema, processIdentitySchema, stagesSchema } from './process.ts';
import { durationMsSchema, exportIdSchema, hostIdSchema, nameSchema, snapshotIdSchema } from './schemas.ts';

/** The host that a box was placed on, and that host's epoch when it was. */
export const placementSchema = z.strictObject({ hostId: hostIdSchema, epoch: z.int().positive() });
export type Placement = z.infer<typeof placementSchema>;

const event = <Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.strictObject({ type: z.literal(type), data });
const diskCopy = { sizeBytes: z.int().nonnegative(), copy: copyMethodSchema };

export const healthSchema = z.enum(['none', 'starting', 'healthy', 'unhealthy']);
export type Health = z.infer<typeof healthSchema>;
/** `graceful`: the guest ended by itself; `terminated`: after SIGTERM; `killed`: after SIGKILL; `already-dead`. */
export const stopMannerSchema = z.enum(['graceful', 'terminated', 'killed', 'already-dead']);

/**
 * Everything that can happen to a box: the vocabulary of its stream and of its statechart, which are one. A schema
 * never changes its meaning; a new meaning is a new schema version with an upcaster.
 *
 * An event with `timeoutMs` asks for an effect whose deadline is that much after the event; waiting in the queue and
 * any pause before a retry are counted in.
 */
export const boxEventSchema = z.discriminatedUnion('type', [
  /** `origin`: it has a disk already, on the host that `placement` names, and begins as stopped. */
  event(
    'box.created',
    z.strictObject({
      name: nameSchema,
      options: boxOptionsSchema,
      origin: z.strictObject({ from: originSchema, placement: placementSchema }).optional(),
    }),
  ),
  event('box.renamed', z.strictObject({ name: nameSchema })),

  /** `generation` counts the starts of this box: 1, 2, … */
  event(
    'box.startRequested',
    z.strictObject({
      placement: placementSchema,
      generation: z.int().positive(),
      timeoutMs: durationMsSchema,
      /** By the restart policy: which restart in a row it is, and how long it is put off. */
      restart: z.strictObject({ attempt: z.int().positive(), delayMs: durationMsSchema }).optional(),
    }),
  ),
  event(
    'box.started',
    z.strictObject({ process: processIdentitySchema, stagesMs: stagesSchema, tookOver: z.boolean() }),
  ),
  event('box.startFailed', z.strictObject({ failure: failureSchema })),

  event(
    'box.stopRequested',
    z.strictObject({
      timeoutMs: durationMsSchema,
      thenRemove: z.boolean(),
      thenStart: z.boolean().optional(),
    }),
  ),
  /** A step of the stop could not be done; the stop is tried again. */
  event('box.stopFailed', z.strictObject({ failure: failureSchema, timeoutMs: durationMsSchema })),
  event(
    'box.stopped',
    z.strictObject({ exit: exitSchema, manner: stopMannerSchema, failures: z.array(failureSchema) }),
  ),
  /** The box ended by itself, seen live or at its host's next start. */
  event('box.exited', z.strictObject({ exit: exitSchema })),

  /** `maxDurationMs`: the box is resumed when it has been paused for so long. `toDisk`: its memory is kept on disk meanwhile. */
  event(
    'box.pauseRequested',
    z.strictObject({
      timeoutMs: durationMsSchema,
      maxDurationMs: durationMsSchema.optional(),
      toDisk: z.literal(true).optional(),
    }),
  ),
  event(
    'box.paused',
    z.strictObject({ consistency: consistencySchema, freezeFailure: failureSchema.optional() }),
  ),
  event('box.pauseFailed', z.strictObject({ failure: failureSchema })),
  event('box.resumeRequested', z.strictObject({ timeoutMs: durationMsSchema })),
  event('box.resumed', z.strictObject({ thawFailure: failureSchema.optional() })),
  event('box.resumeFailed', z.strictObject({ failure: failureSchema })),

  event('box.removeRequested', z.strictObject({ timeoutMs: durationMsSchema, force: z.boolean() })),
  event('box.removeFailed', z.strictObject({ failure: failureSchema, timeoutMs: durationMsSchema })),
  /** `diskAbandoned`: the host was lost, so the disk could not be removed with the box. */
  event('box.removed', z.strictObject({ diskAbandoned: z.boolean() })),

  /** `failure`: what the last probe came to, where it failed. */
  event('box.healthChanged', z.strictObject({ health: healthSchema, failure: failureSchema.optional() })),

  event(
    'box.snapshotRequested',
    z.strictObject({
      snapshotId: snapshotIdSchema,
      name: snapshotNameSchema,
      consistency: consistencyWishSchema,
      timeoutMs: durationMsSchema,
    }),
  ),
  event(
    'box.snapshotCreated',
    z.strictObject({
      snapshotId: snapshotIdSchema,
      name: snapshotNameSchema,
      bracket: bracketReportSchema,
      ...diskCopy,
    }),
  ),
  event('box.snapshotFailed', z.strictObject({ snapshotId: snapshotIdSchema, failure: failureSchema })),
  event(
    'box.snapshotRemovalRequested',
    z.strictObject({ snapshotId: snapshotIdSchema, timeoutMs: durationMsSchema }),
  ),
  event('box.snapshotRemoved', z.strictObject({ snapshotId: snapshotIdSchema })),
  event(
    'box.snapshotRemovalFailed',
    z.strictObject({ snapshotId: snapshotIdSchema, failure: failureSchema }),
  ),
  event(
    'box.restoreRequested',
    z.strictObject({ snapshotId: snapshotIdSchema, timeoutMs: durationMsSchema }),
  ),
  event('box.restored', z.strictObject({ snapshotId: snapshotIdSchema, ...diskCopy })),
  event('box.restoreFailed', z.strictObject({ snapshotId: snapshotIdSchema, failure: failureSchema })),
  event(
    'box.cloneRequested',
    z.strictObject({
      clones: z.array(cloneSchema).min(1),
      consistency: consistencyWishSchema,
      timeoutMs: durationMsSchema,
    }),
  ),
  /** Committed together with the `box.created` of each clone. */
  event(
    'box.cloned',
    z.strictObject({ clones: z.array(cloneSchema).min(1), bracket: bracketReportSchema, ...diskCopy }),
  ),
  event('box.cloneFailed', z.strictObject({ clones: z.array(cloneSchema).min(1), failure: failureSchema })),
  event(
    'box.exportRequested',
    z.strictObject({
      exportId: exportIdSchema,
      includeEnv: z.boolean(),
      consistency: consistencyWishSchema,
      timeoutMs: durationMsSchema,
    }),
  ),
  /** `sizeBytes` and `sha256` (hexadecimal) are those of the archive. */
  event(
    'box.exported',
    z.strictObject({
      exportId: exportIdSchema,
      bracket: bracketReportSchema,
      sizeBytes: z.int().nonnegative(),
      sha256: z.string(),
    }),
  ),
  event('box.exportFailed', z.strictObject({ exportId: exportIdSchema, failure: failureSchema })),

  event('box.lost', z.strictObject({ placement: placementSchema })),
  /** The host of a lost box is back: `process` if it still runs there. */
  event(
    'box.found',
    z.strictObject({
      placement: placementSchema,
      process: processIdentitySchema.nullable(),
      exit: exitSchema.nullable(),
      timeoutMs: durationMsSchema,
    }),
  ),
]);

export type BoxEvent = z.infer<typeof boxEventSchema>;
export type BoxEventType = BoxEvent['type'];
