import { z } from 'zod';
import { limits } from '../kernel/limits.ts';
import { placementSchema } from './box-events.ts';
import { boxOptionsSchema } from './box-options.ts';
import { copyPlaceSchema, copyTotalsSchema } from './copy-events.ts';
import { effectOutcomeSchema } from './effects.ts';
import { execSpecSchema } from './exec-events.ts';
import { failureSchema } from './failure.ts';
import { capacitySchema } from './host-events.ts';
import { exitSchema } from './process.ts';
import {
  boundedText,
  boxIdSchema,
  copyIdSchema,
  durationMsSchema,
  effectIdSchema,
  execIdSchema,
  hostIdSchema,
  nameSchema,
} from './schemas.ts';

const boxCommand = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), boxId: boxIdSchema, ...fields });

/** Milliseconds that a box may take to shut down by itself. */
export const stopTimeoutSchema = durationMsSchema.max(
  limits.stopTimeoutMaxMs,
  `must be at most ${limits.stopTimeoutMaxMs}`,
);

/** What a box can be asked to do, by its users and by the system itself. */
const boxCommandSchema = z.discriminatedUnion('type', [
  boxCommand('box.create', { name: nameSchema, options: boxOptionsSchema }),
  /** `placement` is chosen before the command enters; the statechart uses it only if it starts the box. */
  boxCommand('box.start', { placement: placementSchema }),
  /** `timeoutMs`: how long the box may take to shut down by itself before it is made to. */
  boxCommand('box.stop', { timeoutMs: stopTimeoutSchema.optional() }),
  boxCommand('box.pause', {}),
  boxCommand('box.resume', {}),
  boxCommand('box.remove', { force: z.boolean().default(false) }),

  /** An effect's outcome. Heard only while the box still waits for exactly this effect. */
  boxCommand('box.settleEffect', {
    effectId: effectIdSchema,
    generation: z.int().nonnegative(),
    outcome: effectOutcomeSchema,
  }),
  /** The host saw the box's process end. */
  boxCommand('box.reportExit', { generation: z.int().positive(), exit: exitSchema }),
]);
export type BoxCommand = z.infer<typeof boxCommandSchema>;

const execCommand = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), execId: execIdSchema, ...fields });

const execCommandSchema = z.discriminatedUnion('type', [
  execCommand('exec.request', { boxId: boxIdSchema, generation: z.int().positive(), spec: execSpecSchema }),
  execCommand('exec.reportStarted', { pid: z.int().positive() }),
  execCommand('exec.reportExited', {
    exit: exitSchema,
    timedOut: z.boolean(),
    durationMs: durationMsSchema,
    stdoutBytes: z.int().nonnegative(),
    stderrBytes: z.int().nonnegative(),
  }),
  execCommand('exec.reportFailed', { failure: failureSchema }),
  execCommand('exec.reportLost', { failure: failureSchema }),
]);
export type ExecCommand = z.infer<typeof execCommandSchema>;

const copyCommand = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), copyId: copyIdSchema, ...copyPlaceSchema.shape, ...fields });

const copyCommandSchema = z.discriminatedUnion('type', [
  copyCommand('copy.reportCompleted', copyTotalsSchema.shape),
  copyCommand('copy.reportFailed', { failure: failureSchema, durationMs: durationMsSchema }),
]);
export type CopyCommand = z.infer<typeof copyCommandSchema>;

const hostCommand = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), hostId: hostIdSchema, ...fields });

const hostCommandSchema = z.discriminatedUnion('type', [
  hostCommand('host.join', {
    hostname: boundedText(256),
    driver: z.enum(['process', 'qemu', 'sim']),
    capacity: capacitySchema,
  }),
  hostCommand('host.leave', { epoch: z.int().positive() }),
]);
export type HostCommand = z.infer<typeof hostCommandSchema>;

export type Command = BoxCommand | ExecCommand | CopyCommand | HostCommand;
