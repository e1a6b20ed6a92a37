import { z } from 'zod';
import { limits, utf8Bytes } from '../kernel/limits.ts';
import { boundedText } from './schemas.ts';

const envKey = boundedText(limits.envKeyMaxBytes)
  .min(1, 'must not be empty')
  .refine((key) => !key.includes('='), 'must not contain "="');

export const envSchema = z
  .record(envKey, boundedText(limits.envValueMaxBytes))
  .refine((env) => Object.keys(env).length <= limits.envEntriesMax, `at most ${limits.envEntriesMax} entries`)
  .refine(
    (env) =>
      Object.entries(env).reduce((sum, [key, value]) => sum + utf8Bytes(key) + utf8Bytes(value), 0) <=
      limits.envTotalMaxBytes,
    `at most ${limits.envTotalMaxBytes} bytes in all`,
  );

const labelsSchema = z
  .record(
    boundedText(limits.labelKeyMaxBytes).min(1, 'must not be empty'),
    boundedText(limits.labelValueMaxBytes),
  )
  .refine((labels) => Object.keys(labels).length <= limits.labelsMax, `at most ${limits.labelsMax} labels`);

export const absolutePathSchema = boundedText(limits.pathMaxBytes).refine(
  (path) => path.startsWith('/'),
  'must be an absolute path',
);

/** How long something may last. */
export const timerMsSchema = z.int().min(limits.timerMinMs).max(limits.timerMaxMs);

/** How much of something goes into the log: all of it, a salted hash, or nothing. */
const logPolicySchema = z.enum(['full', 'hash', 'none']);
export type LogPolicy = z.infer<typeof logPolicySchema>;

/** What the log says of an exec: `args` of its command and arguments, `env` of the environment that the exec is given. */
const execLogSchema = z.strictObject({
  args: logPolicySchema.default('full'),
  env: logPolicySchema.default('none'),
});

/** How the health of a running box is found out. */
const healthCheckSchema = z.strictObject({
  /** Program and arguments that are run in the box; healthy when it exits with 0. Empty: its guest is asked to answer. */
  command: z.array(boundedText(limits.envValueMaxBytes)).max(limits.healthCommandMax).default([]),
  intervalMs: timerMsSchema.default(limits.probeIntervalMs),
  timeoutMs: timerMsSchema.default(limits.probeTimeoutMs),
  /** Failures in a row that make a box unhealthy. */
  retries: z.int().min(1).max(100).default(limits.probeRetries),
  /** After the start, in which failures do not count. */
  startPeriodMs: z.int().nonnegative().max(limits.timerMaxMs).default(limits.probeStartPeriodMs),
});

/** When a box that ended by itself is started again: never, when it did not exit with 0, or in any case. */
const restartSchema = z.strictObject({
  policy: z.enum(['no', 'on-failure', 'always']),
  /** Restarts in a row before it is left stopped; unlimited when not given. */
  maxRetries: z.int().min(1).max(limits.restartsMax).optional(),
});

/**
 * What a box is made to be; never changes after `box.created`. Parsing fills in every default, so what is recorded says
 * in full what was asked for.
 */
export const boxOptionsSchema = z.strictObject({
  /** Share of processor time, in cores. */
  cpus: z.number().min(limits.cpusMin).max(limits.cpusMax).default(1),
  /** Memory that the box may use, in MiB. */
  memoryMib: z.int().min(limits.memoryMibMin).max(limits.memoryMibMax).default(512),
  /** Defaults for the environment of every exec. */
  env: envSchema.default({}),
  labels: labelsSchema.default({}),
  /** Directory that an exec starts in; the box's home when not given. */
  workingDir: absolutePathSchema.optional(),
  /** `none`: no way out but loopback. `host`: the network of the box's host. */
  network: z.enum(['none', 'host']).default('none'),
  /** Whether exec and copy start the box when it is not running. */
  autoStart: z.boolean().default(true),
  /** What of its execs goes into the log, which forgets nothing. */
  execLog: execLogSchema.prefault({}),
  healthCheck: healthCheckSchema.optional(),
  restart: restartSchema.default({ policy: 'no' }),
  /** Stops the box when no exec or copy has run in it for so long. */
  idleTimeoutMs: timerMsSchema.optional(),
  /** Stops the box so long after its start. */
  maxLifetimeMs: timerMsSchema.optional(),
  /** Removes the box once it has run and ended, unless it is started again. */
  autoRemove: z.boolean().default(false),
});
export type BoxOptions = z.infer<typeof boxOptionsSchema>;
