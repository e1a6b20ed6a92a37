import { z } from 'zod';
import { type BoxOptions, boxOptionsSchema, timerMsSchema } from '../events/box-options.ts';
import type { Capacity } from '../events/host-events.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import type { JsonObject, JsonValue } from '../kernel/json.ts';
import { limits } from '../kernel/limits.ts';
import { pathText } from './field-path.ts';
import { issueText } from './issue-text.ts';

/** What a box is to be made to be, as it comes by the wire or in an archive. */

/** 64 bits on the wire, for a year does not fit into 32. */
export const wideMs = (schema: typeof timerMsSchema) => z.bigint().transform(Number).pipe(schema).optional();

const wideOptions = { idleTimeoutMs: wideMs(timerMsSchema), maxLifetimeMs: wideMs(timerMsSchema) };

/** The largest host's capacity is a limit like the others, so that it is said together with them. */
const hostedOptionsSchema = (capacity: Capacity) => {
  const { cpus, memoryMib, healthCheck } = boxOptionsSchema.shape;
  const check = healthCheck.unwrap();
  const { intervalMs, timeoutMs } = check.shape;
  return boxOptionsSchema.extend({
    cpus: cpus.removeDefault().max(capacity.cpus, `no host has more than ${capacity.cpus}`).default(1),
    memoryMib: memoryMib
      .removeDefault()
      .max(capacity.memoryMib, `no host has more than ${capacity.memoryMib}`)
      .default(512),
    healthCheck: check
      .extend({
        intervalMs: intervalMs.removeDefault().max(limits.probeIntervalMaxMs).default(limits.probeIntervalMs),
        timeoutMs: timeoutMs.removeDefault().max(limits.probeTimeoutMaxMs).default(limits.probeTimeoutMs),
      })
      .optional(),
  });
};

export const wireOptionsSchema = (capacity: Capacity) => hostedOptionsSchema(capacity).extend(wideOptions);

/** Options of which the unset ones say nothing. */
export const givenOptionsSchema = (capacity: Capacity): z.ZodType<Partial<BoxOptions>> => {
  const fields: readonly [string, z.ZodType][] = Object.entries(wireOptionsSchema(capacity).shape);
  return z
    .strictObject(
      Object.fromEntries(
        fields.map(([name, field]) => [name, field instanceof z.ZodDefault ? field.removeDefault() : field]),
      ),
    )
    .partial();
};

/**
 * The options of an archive's box with what is given instead: `env` and `labels` key by key, the others as a whole. Throws
 * `InvalidArgument` with all that is wrong with them here.
 */
export const archivedOptions = (
  archived: JsonObject,
  given: Partial<BoxOptions>,
  capacity: Capacity,
): BoxOptions => {
  const merged = {
    ...archived,
    ...given,
    env: { ...mapOf(archived['env']), ...given.env },
    labels: { ...mapOf(archived['labels']), ...given.labels },
  };
  const parsed = hostedOptionsSchema(capacity).safeParse(merged, { error: issueText });
  if (parsed.success) return parsed.data;
  const refusal = invalidArgument(
    parsed.error.issues.map(({ path, message }) => ({
      field: pathText(['options', ...path]),
      problem: message,
    })),
  );
  throw BoxledgerError.fromRefusal({
    ...refusal,
    help: 'The archive was made elsewhere: give these options for the import.',
  });
};

/** What is no map of texts is left for the options' schema to refuse. */
const mapOf = (value: JsonValue | undefined): object =>
  typeof value === 'object' && value !== null ? value : {};
