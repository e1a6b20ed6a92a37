import { z } from 'zod';
import { bracketSchema, healthSchema, placementSchema } from './box-events.ts';
import { boxOptionsSchema } from './box-options.ts';
import { effectKindSchema } from './effects.ts';
import { failureSchema } from './failure.ts';
import { exitSchema, processIdentitySchema } from './process.ts';
import { boxIdSchema, effectIdSchema, nameSchema, tenantIdSchema, timestampSchema } from './schemas.ts';

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
  bracket: bracketSchema.nullable(),
  options: boxOptionsSchema,
  /** Number of starts so far. */
  generation: z.int().nonnegative(),
  placement: placementSchema.nullable(),
  process: processIdentitySchema.nullable(),
  /** The effect that the box waits for, in every in-between state. */
  effect: z
    .strictObject({ effectId: effectIdSchema, kind: effectKindSchema, deadline: timestampSchema })
    .nullable(),
  hasDisk: z.boolean(),
  /** How the last run ended. */
  exit: exitSchema.nullable(),
  /** Why the last thing that failed did; null again after a start. */
  failure: failureSchema.nullable(),
  createdAt: timestampSchema,
  startedAt: timestampSchema.nullable(),
  stoppedAt: timestampSchema.nullable(),
});
export type BoxView = z.infer<typeof boxViewSchema>;
