import { z } from 'zod';
import { limits } from '../kernel/limits.ts';
import { healthSchema, placementSchema } from './box-events.ts';
import { boxOptionsSchema, timerMsSchema } from './box-options.ts';
import { copyPlaceSchema, copyTotalsSchema } from './copy-events.ts';
import { cloneSchema, consistencyWishSchema, snapshotNameSchema } from './disk-operations.ts';
import { effectOutcomeSchema } from './effects.ts';
import { execRecordedSchema, execSpecSchema } from './exec-events.ts';
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
  exportIdSchema,
  hostIdSchema,
  nameSchema,
  snapshotIdSchema,
} from './schemas.ts';

const boxCommand = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), boxId: boxIdSchema, ...fields });

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');

/** Milliseconds that a box may take to shut down by itself. */
export const stopTimeoutSchema = durationMsSchema.max(
  limits.stopTimeoutMaxMs,
  `must be at most ${limits.stopTimeoutMaxMs}`,
);

/** What a box can be asked to do, by its users and by the system itself. */
const boxCommandSchema = z.discriminatedUnion('type', [
  boxCommand('box.create', { name: nameSchema, options: boxOptionsSchema }),
  /** `archive`: what the disk was unpacked from, which is on the host that `placement` names. */
  boxCommand('box.import', {
    name: nameSchema,
    options: boxOptionsSchema,
    placement: placementSchema,
    archive: z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().nonnegative() }),
  }),
  boxCommand('box.rename', { name: nameSchema }),
  /** `placement` is chosen before the command enters; the statechart uses it only if it starts the box. */
  boxCommand('box.start', { placement: placementSchema }),
  /** `timeoutMs`: how long the box may take to shut down by itself before it is made to. */
  boxCommand('box.stop', { timeoutMs: stopTimeoutSchema.optional() }),
  /** Stops the box if it runs, then starts it; `placement` as for a start. */
  boxCommand('box.restart', { placement: placementSchema, timeoutMs: stopTimeoutSchema.optional() }),
  /** `maxDurationMs`: resumed when it has been paused for so long. `toDisk`: its memory is kept on disk, and none is taken. */
  boxCommand('box.pause', {
    maxDurationMs: timerMsSchema.optional(),
    toDisk: z.boolean().optional(),
  }),
  boxCommand('box.resume', {}),
  boxCommand('box.remove', { force: z.boolean().default(false) }),

  boxCommand('box.snapshot', {
    snapshotId: snapshotIdSchema,
    name: snapshotNameSchema,
    consistency: consistencyWishSchema.default('best-effort'),
  }),
  /** `snapshot`: its id or its name. */
  boxCommand('box.removeSnapshot', { snapshot: z.string() }),
  boxCommand('box.restore', { snapshot: z.string() }),
  boxCommand('box.clone', {
    clones: z.array(cloneSchema).min(1).max(limits.clonesMax),
    consistency: consistencyWishSchema.default('best-effort'),
  }),
  /** `includeEnv`: without it no value of the box's environment leaves it, as some may be secrets. */
  boxCommand('box.export', {
    exportId: exportIdSchema,
    includeEnv: z.boolean().default(false),
    consistency: consistencyWishSchema.default('best-effort'),
  }),

  /** An effect's outcome. Heard only while the box still waits for exactly this effect. */
  boxCommand('box.settleEffect', {
    effectId: effectIdSchema,
    generation: z.int().nonnegative(),
    outcome: effectOutcomeSchema,
  }),
  /** The host saw the box's process end. `placement`: itself, where a restart would be. */
  boxCommand('box.reportExit', {
    generation: z.int().positive(),
    exit: exitSchema,
    placement: placementSchema,
  }),
  /** The host's probes of the box came to another finding. */
  boxCommand('box.reportHealth', {
    generation: z.int().positive(),
    health: healthSchema,
    failure: failureSchema.optional(),
  }),
]);
export type BoxCommand = z.infer<typeof boxCommandSchema>;

const execCommand = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), execId: execIdSchema, ...fields });

const execCommandSchema = z.discriminatedUnion('type', [
  /** `recorded`: what the log is to say of the program, worked out from the spec before the command enters. */
  execCommand('exec.request', {
    boxId: boxIdSchema,
    generation: z.int().positive(),
    spec: execSpecSchema,
    recorded: execRecordedSchema,
  }),
  execCommand('exec.reportStarted', { pid: z.int().positive() }),
  /** Also of a program whose start has not been reported: it then was one. */
  execCommand('exec.reportExited', {
    pid: z.int().positive(),
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
