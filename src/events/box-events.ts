import { z } from 'zod';
import { boxOptionsSchema } from './box-options.ts';
import { failureSchema } from './failure.ts';
import { exitSchema, processIdentitySchema, stagesSchema } from './process.ts';
import { durationMsSchema, hostIdSchema, nameSchema } from './schemas.ts';

/** The host that a box was placed on, and that host's epoch when it was. */
export const placementSchema = z.strictObject({ hostId: hostIdSchema, epoch: z.int().positive() });
export type Placement = z.infer<typeof placementSchema>;

const event = <Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.strictObject({ type: z.literal(type), data });
const nothing = z.strictObject({});

export const consistencySchema = z.enum(['file-system', 'crash']);
export const healthSchema = z.enum(['none', 'starting', 'healthy', 'unhealthy']);
export const bracketSchema = z.enum(['snapshot', 'clone', 'export']);
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
  event('box.created', z.strictObject({ name: nameSchema, options: boxOptionsSchema })),

  /** `generation` counts the starts of this box: 1, 2, … */
  event(
    'box.startRequested',
    z.strictObject({
      placement: placementSchema,
      generation: z.int().positive(),
      timeoutMs: durationMsSchema,
    }),
  ),
  event(
    'box.started',
    z.strictObject({ process: processIdentitySchema, stagesMs: stagesSchema, tookOver: z.boolean() }),
  ),
  event('box.startFailed', z.strictObject({ failure: failureSchema })),

  event('box.stopRequested', z.strictObject({ timeoutMs: durationMsSchema, thenRemove: z.boolean() })),
  /** A step of the stop could not be done; the stop is tried again. */
  event('box.stopFailed', z.strictObject({ failure: failureSchema, timeoutMs: durationMsSchema })),
  event(
    'box.stopped',
    z.strictObject({ exit: exitSchema, manner: stopMannerSchema, failures: z.array(failureSchema) }),
  ),
  /** The box ended by itself, seen live or at its host's next start. */
  event('box.exited', z.strictObject({ exit: exitSchema })),

  event('box.pauseRequested', z.strictObject({ timeoutMs: durationMsSchema })),
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

  event('box.healthChanged', z.strictObject({ health: healthSchema })),
  event('box.bracketOpened', z.strictObject({ operation: bracketSchema })),
  event('box.bracketClosed', nothing),

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
