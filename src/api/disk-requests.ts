import { z } from 'zod';
import { consistencyWishSchema, snapshotNameSchema } from '../events/disk-operations.ts';
import type { Capacity } from '../events/host-events.ts';
import { boundedText } from '../events/schemas.ts';
import { limits } from '../kernel/limits.ts';
import { givenOptionsSchema } from './option-requests.ts';
import { boxReference, emptyIsUnset, getSchema, mutationSchema, newNameSchema } from './requests.ts';

/** One schema a request of the DiskService, field by field as in the proto. */

/** Its id, which has the form of a name, or its name. */
export const snapshotReference = boundedText(limits.snapshotNameMaxBytes).min(1, 'must not be empty');

const ofBox = { mutation: mutationSchema, box: boxReference };
const consistency = consistencyWishSchema.default('best-effort');

export const createSnapshotSchema = z.strictObject({
  ...ofBox,
  name: emptyIsUnset(snapshotNameSchema),
  consistency,
});
export const listSnapshotsSchema = getSchema;
export const getSnapshotSchema = z.strictObject({ box: boxReference, snapshot: snapshotReference });
export const snapshotChangeSchema = z.strictObject({ ...ofBox, snapshot: snapshotReference });

/** What clones are to be called. */
export const cloneNames = {
  names: z.array(newNameSchema).max(limits.clonesMax),
  count: z.int().max(limits.clonesMax),
};

/** One or the other: a count would say again what the names say. */
export const namesOrCount = ({
  names,
  count,
}: {
  readonly names: readonly string[];
  readonly count: number;
}) => names.length === 0 || count === 0;
export const countFault = { path: ['count'], message: 'must be left out where names are given' };

export const cloneRequestSchema = z
  .strictObject({ ...ofBox, ...cloneNames, consistency })
  .refine(namesOrCount, countFault);
export type CloneParsed = z.infer<typeof cloneRequestSchema>;

export const exportSchema = z.strictObject({ ...ofBox, includeEnv: z.boolean(), consistency });

export const importRequestSchema = (capacity: Capacity) =>
  z.strictObject({
    header: z
      .strictObject({
        mutation: mutationSchema,
        name: emptyIsUnset(newNameSchema),
        options: givenOptionsSchema(capacity).default({}),
      })
      .optional(),
    chunk: z.instanceof(Uint8Array).optional(),
  });
export type ImportParsed = z.infer<ReturnType<typeof importRequestSchema>>;
