import { z } from 'zod';
import { limits } from '../kernel/limits.ts';
import { absolutePathSchema, envSchema } from './box-options.ts';
import { failureSchema } from './failure.ts';
import { exitSchema } from './process.ts';
import { boundedText, boxIdSchema, durationMsSchema } from './schemas.ts';

/** A program to run in a box. `command` is looked up in the box's PATH when it holds no slash. */
export const execSpecSchema = z.strictObject({
  command: boundedText(limits.pathMaxBytes).min(1, 'must not be empty'),
  args: z
    .array(boundedText(limits.execArgsTotalMaxBytes))
    .max(limits.execArgsMax)
    .refine(
      (args) => args.reduce((sum, arg) => sum + arg.length, 0) <= limits.execArgsTotalMaxBytes,
      `at most ${limits.execArgsTotalMaxBytes} bytes in all`,
    )
    .default([]),
  env: envSchema.default({}),
  workingDir: absolutePathSchema.optional(),
  /** Name or id in the box, with a group after a colon if it is to be another than the user's own. */
  user: boundedText(limits.userMaxBytes)
    .regex(/^[^:\s]+(:[^:\s]+)?$/, 'must be USER or USER:GROUP')
    .optional(),
  /** Milliseconds after which the process group is killed; 0 or absent: never. */
  timeoutMs: z.int().min(0).max(limits.execTimeoutMaxMs).optional(),
  tty: z.strictObject({ rows: z.int().min(1).max(65_535), cols: z.int().min(1).max(65_535) }).optional(),
});
export type ExecSpec = z.infer<typeof execSpecSchema>;

const hashed = z.strictObject({ kind: z.literal('hash'), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const withheld = z.strictObject({ kind: z.literal('none') });

/** What the log says of the program and of the environment that it is given: the box's `execLog` decides. */
export const execRecordedSchema = z.strictObject({
  program: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('full'), command: z.string(), args: z.array(z.string()) }),
    hashed,
    withheld,
  ]),
  env: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('full'), values: z.record(z.string(), z.string()) }),
    hashed,
    withheld,
  ]),
});
export type ExecRecorded = z.infer<typeof execRecordedSchema>;

const event = <Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.strictObject({ type: z.literal(type), data });

/** What happens to one run of a program in a box. Its output is bytes, and bytes are not events. */
export const execEventSchema = z.discriminatedUnion('type', [
  event(
    'exec.requested',
    z.strictObject({
      boxId: boxIdSchema,
      generation: z.int().positive(),
      ...execRecordedSchema.shape,
      workingDir: z.string().nullable(),
      user: z.string().nullable(),
      tty: z.boolean(),
      timeoutMs: z.int().nonnegative().nullable(),
    }),
  ),
  event('exec.started', z.strictObject({ pid: z.int().positive() })),
  event(
    'exec.exited',
    z.strictObject({
      exit: exitSchema,
      timedOut: z.boolean(),
      durationMs: durationMsSchema,
      stdoutBytes: z.int().nonnegative(),
      stderrBytes: z.int().nonnegative(),
    }),
  ),
  /** The program could not be started. */
  event('exec.failed', z.strictObject({ failure: failureSchema })),
  /** The box or its host ended under it; nobody saw how the program ended. */
  event('exec.lost', z.strictObject({ failure: failureSchema })),
]);
export type ExecEvent = z.infer<typeof execEventSchema>;
