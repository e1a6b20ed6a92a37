import { z } from 'zod';
import type { Moment } from '../commands/moments.ts';
import { timerMsSchema } from '../events/box-options.ts';
import { snapshotNameSchema } from '../events/disk-operations.ts';
import { execSpecSchema } from '../events/exec-events.ts';
import { commandIdSchema } from '../events/schemas.ts';
import { version } from '../kernel/ids.ts';
import { timestampFromMs } from '../kernel/time.ts';
import { cloneNames, countFault, namesOrCount, snapshotReference } from './disk-requests.ts';
import { wideMs } from './option-requests.ts';
import { boxReference, emptyIsUnset, listSchema, newNameSchema } from './requests.ts';

/** One schema a request of the HistoryService, field by field as in the proto. */

/** What RFC 3339 has digits for. */
const timeSchema = z
  .date('must be a moment of the years 0 to 9999')
  .min(new Date('0000-01-01T00:00:00.000Z'), 'must not be before the year 0')
  .max(new Date('9999-12-31T23:59:59.999Z'), 'must not be after the year 9999')
  .transform((date) => timestampFromMs(date.getTime()));

const versionSchema = z.bigint().min(1n, 'must be 1 or more').transform(version);

const momentSchema = z
  .strictObject({ time: timeSchema.optional(), version: versionSchema.optional() })
  .prefault({})
  .transform(({ time, version }, context): Moment => {
    if (time !== undefined) return { kind: 'time', at: time };
    if (version !== undefined) return { kind: 'version', version };
    context.addIssue({ code: 'custom', message: 'must be a time or a version' });
    return z.NEVER;
  });

export const getAtSchema = z.strictObject({ box: boxReference, at: momentSchema });

export const listAtSchema = listSchema.extend({ at: timeSchema });

export const diffSchema = z.strictObject({
  box: boxReference,
  from: momentSchema,
  to: z.optional(momentSchema),
});

export const whySchema = z.strictObject({
  box: boxReference,
  version: versionSchema.optional(),
  commandId: commandIdSchema.optional(),
});

const ofSnapshot = z.strictObject({ snapshot: snapshotReference }).optional();
const nothing = z.strictObject({}).optional();

export const explainSchema = z
  .strictObject({
    box: boxReference,
    expectedVersion: z.bigint().transform(version).optional(),
    start: nothing,
    stop: z.strictObject({ timeoutMs: z.int().optional() }).optional(),
    pause: z.strictObject({ maxDurationMs: wideMs(timerMsSchema), toDisk: z.boolean() }).optional(),
    resume: nothing,
    remove: z.strictObject({ force: z.boolean() }).optional(),
    restart: z.strictObject({ timeoutMs: z.int().optional() }).optional(),
    rename: z.strictObject({ name: newNameSchema }).optional(),
    snapshot: z.strictObject({ name: emptyIsUnset(snapshotNameSchema) }).optional(),
    removeSnapshot: ofSnapshot,
    restore: ofSnapshot,
    clone: z.strictObject(cloneNames).refine(namesOrCount, countFault).optional(),
    export: nothing,
    exec: z
      .strictObject({
        command: execSpecSchema.shape.command,
        args: execSpecSchema.shape.args,
        autoStart: z.boolean().optional(),
      })
      .optional(),
  })
  .refine(
    ({ box: _, expectedVersion: _condition, ...commands }) =>
      Object.values(commands).some((command) => command !== undefined),
    { path: ['command'], message: 'must be set' },
  );
export type ExplainParsed = z.infer<typeof explainSchema>;
