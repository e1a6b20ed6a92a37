import { z } from 'zod';
import { placementSchema, stopMannerSchema } from './box-events.ts';
import { boxOptionsSchema } from './box-options.ts';
import {
  bracketPlanSchema,
  bracketReportSchema,
  cloneSchema,
  consistencySchema,
  copyMethodSchema,
} from './disk-operations.ts';
import { failureSchema } from './failure.ts';
import { exitSchema, processIdentitySchema, stagesSchema } from './process.ts';
import {
  boxIdSchema,
  durationMsSchema,
  effectIdSchema,
  exportIdSchema,
  nameSchema,
  snapshotIdSchema,
  tenantIdSchema,
  timestampSchema,
} from './schemas.ts';

const process = processIdentitySchema.nullable();
const diskCopy = { sizeBytes: z.int().nonnegative(), copy: copyMethodSchema };
const inBracket = { bracket: bracketReportSchema };

/**
 * What each effect needs to know, and what it brings back when it succeeds: the one table from which intents,
 * outcomes and handlers take their types.
 */
export const effectKinds = {
  'vm.boot': {
    args: z.strictObject({ name: nameSchema, options: boxOptionsSchema }),
    result: z.strictObject({ process: processIdentitySchema, stagesMs: stagesSchema, tookOver: z.boolean() }),
  },
  'vm.shutdown': {
    /** `guestMs`: how long the box may take to shut down by itself. */
    args: z.strictObject({ process, frozen: z.boolean(), guestMs: durationMsSchema }),
    result: z.strictObject({ exit: exitSchema, manner: stopMannerSchema, failures: z.array(failureSchema) }),
  },
  'vm.pause': {
    args: z.strictObject({ process: processIdentitySchema, toDisk: z.literal(true).optional() }),
    result: z.strictObject({ consistency: consistencySchema, freezeFailure: failureSchema.optional() }),
  },
  'vm.resume': {
    args: z.strictObject({ process: processIdentitySchema }),
    result: z.strictObject({ thawFailure: failureSchema.optional() }),
  },
  'disk.remove': {
    args: z.strictObject({}),
    result: z.strictObject({}),
  },
  'disk.snapshot': {
    args: z.strictObject({ snapshotId: snapshotIdSchema, plan: bracketPlanSchema }),
    result: z.strictObject({ ...inBracket, ...diskCopy }),
  },
  'disk.restore': {
    args: z.strictObject({ snapshotId: snapshotIdSchema }),
    result: z.strictObject(diskCopy),
  },
  /** A disk for each of the clones, all as the box's was at one moment. */
  'disk.clone': {
    args: z.strictObject({ clones: z.array(cloneSchema).min(1), plan: bracketPlanSchema }),
    result: z.strictObject({ ...inBracket, ...diskCopy }),
  },
  'disk.export': {
    args: z.strictObject({
      exportId: exportIdSchema,
      name: nameSchema,
      options: boxOptionsSchema,
      plan: bracketPlanSchema,
    }),
    result: z.strictObject({ ...inBracket, sizeBytes: z.int().nonnegative(), sha256: z.string() }),
  },
  'snapshot.remove': {
    args: z.strictObject({ snapshotId: snapshotIdSchema }),
    result: z.strictObject({}),
  },
} as const;

export type EffectKind = keyof typeof effectKinds;
export type EffectArgs<Kind extends EffectKind> = z.infer<(typeof effectKinds)[Kind]['args']>;
export type EffectResult<Kind extends EffectKind> = z.infer<(typeof effectKinds)[Kind]['result']>;

export const effectKindSchema = z.enum(
  Object.keys(effectKinds) as [EffectKind, ...EffectKind[]], // Object.keys forgets the literal types
);

/** What every effect carries, whatever its kind. Its id is also the queue's job id. */
const intentBase = {
  effectId: effectIdSchema,
  tenant: tenantIdSchema,
  boxId: boxIdSchema,
  /** The start of the box that the effect belongs to. */
  generation: z.int().nonnegative(),
  /** Where it is to run, and the epoch that the host had when it was asked for. */
  placement: placementSchema,
  /** Not to be begun before this moment; null: at once. */
  notBefore: timestampSchema.nullable(),
  /** When this has passed without an outcome, its passing is the outcome. */
  deadline: timestampSchema,
};

type ArgsSchema<Kind extends EffectKind> = (typeof effectKinds)[Kind]['args'];
type ResultSchema<Kind extends EffectKind> = (typeof effectKinds)[Kind]['result'];

// The two casts below: reading a property through a generic key gives the union over all kinds.
const intent = <Kind extends EffectKind>(kind: Kind) =>
  z.strictObject({
    ...intentBase,
    kind: z.literal(kind),
    args: effectKinds[kind].args as ArgsSchema<Kind>,
  });

export const effectIntentSchema = z.discriminatedUnion('kind', [
  intent('vm.boot'),
  intent('vm.shutdown'),
  intent('vm.pause'),
  intent('vm.resume'),
  intent('disk.remove'),
  intent('disk.snapshot'),
  intent('disk.restore'),
  intent('disk.clone'),
  intent('disk.export'),
  intent('snapshot.remove'),
]);
export type EffectIntent = z.infer<typeof effectIntentSchema>;

const outcome = <Kind extends EffectKind>(kind: Kind) =>
  z.strictObject({
    kind: z.literal(kind),
    outcome: z.discriminatedUnion('status', [
      z.strictObject({
        status: z.literal('succeeded'),
        result: effectKinds[kind].result as ResultSchema<Kind>,
      }),
      z.strictObject({ status: z.literal('failed'), failure: failureSchema }),
    ]),
  });

/** What became of an effect. The passing of its deadline is a failure with code `DeadlineExceeded`. */
export const effectOutcomeSchema = z.discriminatedUnion('kind', [
  outcome('vm.boot'),
  outcome('vm.shutdown'),
  outcome('vm.pause'),
  outcome('vm.resume'),
  outcome('disk.remove'),
  outcome('disk.snapshot'),
  outcome('disk.restore'),
  outcome('disk.clone'),
  outcome('disk.export'),
  outcome('snapshot.remove'),
]);
export type EffectOutcome = z.infer<typeof effectOutcomeSchema>;
