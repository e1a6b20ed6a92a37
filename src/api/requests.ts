import { z } from 'zod';
import { boxOptionsSchema, timerMsSchema } from '../events/box-options.ts';
import { boxStates } from '../events/box-view.ts';
import { stopTimeoutSchema } from '../events/commands.ts';
import { domainEventSchema } from '../events/envelope.ts';
import { execSpecSchema } from '../events/exec-events.ts';
import type { Capacity } from '../events/host-events.ts';
import { boundedText, commandIdSchema, nameSchema, streamIdSchema } from '../events/schemas.ts';
import { boxIdPattern, namePattern, version } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { wideMs, wireOptionsSchema } from './option-requests.ts';

/** One schema a request, field by field as in the proto. They have no defaults of their own: those are the domain's. */

export const mutationSchema = z
  .strictObject({
    commandId: commandIdSchema.optional(),
    expectedVersion: z.bigint().transform(version).optional(),
    reason: boundedText(limits.reasonMaxBytes).optional(),
  })
  .default({});
export type Mutation = z.infer<typeof mutationSchema>;

/** An id, a name, or the beginning of an id. */
export const boxReference = z
  .string()
  .regex(namePattern, 'must be the id, the name or the beginning of the id of a box');

/** proto3 has no unset text but the empty one. */
export const emptyIsUnset = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((text) => (text === '' ? undefined : text), schema.optional());

const eventTypes = domainEventSchema.options.map((event) => event.shape.type.value);
const eventTypesSchema = z.array(z.enum(eventTypes));
const cursorSchema = boundedText(256);
const stateSchema = z.enum(boxStates);
const pathSchema = boundedText(limits.pathMaxBytes).min(1, 'must not be empty');

/** As a box may be called. An id would be taken for that box's. */
export const newNameSchema = nameSchema.refine(
  (name) => !boxIdPattern.test(name),
  'must not look like an id',
);

export const createSchema = (capacity: Capacity) =>
  z.strictObject({
    mutation: mutationSchema,
    name: emptyIsUnset(newNameSchema),
    options: wireOptionsSchema(capacity).prefault({}),
    getOrCreate: z.boolean(),
  });
export type CreateParsed = z.infer<ReturnType<typeof createSchema>>;

const changeFields = { mutation: mutationSchema, box: boxReference, wait: z.boolean() };
export const startSchema = z.strictObject(changeFields);
export const stopSchema = z.strictObject({ ...changeFields, timeoutMs: stopTimeoutSchema.optional() });
export const removeSchema = z.strictObject({ ...changeFields, force: z.boolean() });
export const restartSchema = stopSchema;
export const renameSchema = z.strictObject({
  mutation: mutationSchema,
  box: boxReference,
  name: newNameSchema,
});
export const pauseSchema = z.strictObject({
  ...changeFields,
  maxDurationMs: wideMs(timerMsSchema),
  toDisk: z.boolean(),
});
export const resumeSchema = z.strictObject(changeFields);

export const getSchema = z.strictObject({ box: boxReference });
export const metricsSchema = getSchema;
export const serviceMetricsSchema = z.strictObject({});
export const processesSchema = getSchema;
export const consoleSchema = z.strictObject({
  box: boxReference,
  tailLines: z.int().optional(),
  follow: z.boolean(),
});
export const waitSchema = z.strictObject({
  box: boxReference,
  states: z.array(stateSchema).min(1, 'must name a state'),
});

export const listSchema = z.strictObject({
  states: z.array(stateSchema),
  labels: boxOptionsSchema.shape.labels.removeDefault(),
  namePrefix: boundedText(limits.boxNameMaxBytes),
  includeRemoved: z.boolean(),
  pageSize: z.int().max(limits.pageSizeMax),
  pageToken: boundedText(256),
});

export const watchSchema = z
  .strictObject({
    box: emptyIsUnset(boxReference),
    types: eventTypesSchema,
    cursor: cursorSchema,
    fromNow: z.boolean(),
  })
  .refine(({ cursor, fromNow }) => !fromNow || cursor === '', {
    path: ['cursor'],
    message: 'must be empty with from_now',
  });

export const readStreamSchema = z.strictObject({
  streamId: streamIdSchema,
  afterVersion: z.bigint().transform(version),
  types: eventTypesSchema,
  limit: z.bigint(),
});

export const readAllSchema = z.strictObject({
  cursor: cursorSchema,
  types: eventTypesSchema,
  categories: z.array(z.enum(['box', 'exec', 'copy', 'host'])),
  follow: z.boolean(),
  limit: z.bigint(),
});

export const execStartSchema = z.strictObject({
  ...execSpecSchema.shape,
  mutation: mutationSchema,
  box: boxReference,
  autoStart: z.boolean().optional(),
});
export type ExecStartParsed = z.infer<typeof execStartSchema>;

export const signalNameSchema = z
  .string()
  .regex(/^SIG[A-Z0-9+]{1,12}$/, 'must be a name as in signal(7), such as SIGTERM');

export const execRequestSchema = z.strictObject({
  start: execStartSchema.optional(),
  stdin: z.instanceof(Uint8Array).optional(),
  stdinEnd: z.strictObject({}).optional(),
  resize: execSpecSchema.shape.tty,
  signal: signalNameSchema.optional(),
});
export type ExecParsed = z.infer<typeof execRequestSchema>;

export const copyInRequestSchema = z.strictObject({
  header: z
    .strictObject({
      mutation: mutationSchema,
      box: boxReference,
      path: pathSchema,
      overwrite: z.boolean(),
      recursive: z.boolean().optional(),
      renameRoot: z.boolean(),
      keepOwners: z.boolean(),
      autoStart: z.boolean().optional(),
    })
    .optional(),
  tar: z.instanceof(Uint8Array).optional(),
});
export type CopyInParsed = z.infer<typeof copyInRequestSchema>;

export const copyOutSchema = z.strictObject({
  box: boxReference,
  path: pathSchema,
  followSymlinks: z.boolean(),
  includeParent: z.boolean(),
  followSource: z.boolean(),
  recursive: z.boolean().optional(),
  autoStart: z.boolean().optional(),
  reason: boundedText(limits.reasonMaxBytes).optional(),
});
