import { z } from 'zod';
import { healthSchema, placementSchema } from './box-events.ts';
import { boxOptionsSchema } from './box-options.ts';
import {
  bracketSchema,
  consistencySchema,
  diskOperationSchema,
  originSchema,
  snapshotSchema,
} from './disk-operations.ts';
import { effectKindSchema } from './effects.ts';
import { failureSchema } from './failure.ts';
import { exitSchema, processIdentitySchema } from './process.ts';
import {
  boxIdSchema,
  effectIdSchema,
  nameSchema,
  snapshotIdSchema,
  tenantIdSchema,
  timestampSchema,
} from './schemas.ts';

/** Top states of the box statechart. */
export const boxStates = [
  'configured',
  'starting',
  'running',
  'pausing',
  'paused',
  'resuming',
  'stopping',
  'stopped',
  'failed',
  'lost',
  'removing',
  'removed',
] as const;
export type BoxStateName = (typeof boxStates)[number];

/** A box as its users see it: a fold of its stream, and nothing that is not in it. */
export const boxViewSchema = z.strictObject({
  boxId: boxIdSchema,
  tenant: tenantIdSchema,
  name: nameSchema,
  state: z.enum(boxStates),
  health: healthSchema,
  /** What is being done to the disk. */
  operation: diskOperationSchema.nullable(),
  /** The operation that the processes of a box that runs are held for. */
  bracket: bracketSchema.nullable(),
  options: boxOptionsSchema,
  /** Number of starts so far. */
  generation: z.int().nonnegative(),
  placement: placementSchema.nullable(),
  process: processIdentitySchema.nullable(),
  /** The effect that the box waits for, in every in-between state and while there is an operation. */
  effect: z
    .strictObject({ effectId: effectIdSchema, kind: effectKindSchema, deadline: timestampSchema })
    .nullable(),
  hasDisk: z.boolean(),
  /** Where its disk came from, if it was not made new. */
  origin: originSchema.nullable(),
  /** Oldest first. */
  snapshots: z.array(snapshotSchema),
  /** The snapshot that the disk was last the same as; null: none. */
  standsOn: snapshotIdSchema.nullable(),
  /** While the box is paused. `until`: when it is resumed by itself; null: it is not. `toDisk`: where its memory is. */
  pause: z
    .strictObject({
      since: timestampSchema,
      until: timestampSchema.nullable(),
      consistency: consistencySchema,
      toDisk: z.boolean().default(false),
    })
    .nullable(),
  /** Restarts in a row by the restart policy that led to this run. */
  restarts: z.int().nonnegative(),
  /** How the last run ended. */
  exit: exitSchema.nullable(),
  /** Why the last thing that failed did; null again after a start. */
  failure: failureSchema.nullable(),
  createdAt: timestampSchema,
  startedAt: timestampSchema.nullable(),
  /** When the present run was last resumed. Rows of earlier versions do not say. */
  resumedAt: timestampSchema.nullable().default(null),
  stoppedAt: timestampSchema.nullable(),
});
export type BoxView = z.infer<typeof boxViewSchema>;
