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
});
export type BoxOptions = z.infer<typeof boxOptionsSchema>;
