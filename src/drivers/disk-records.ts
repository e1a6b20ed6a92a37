import { z } from 'zod';
import { copyMethodSchema } from '../events/disk-operations.ts';
import { boxIdSchema, snapshotIdSchema } from '../events/schemas.ts';
import { manifestSchema } from './box-archive/manifest.ts';

/** What is written down next to disks, so that work which is asked for again can answer as it did at first. */

const sizeSchema = z.int().nonnegative();

export const diskCopySchema = z.strictObject({
  copy: copyMethodSchema,
  sizeBytes: sizeSchema,
});

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

export const exportFiguresSchema = z.strictObject({ sizeBytes: sizeSchema, sha256: sha256Schema });

export const importedArchiveSchema = z.strictObject({
  manifest: manifestSchema,
  archiveBytes: sizeSchema,
  sha256: sha256Schema,
  sizeBytes: sizeSchema,
});

/** Of what a disk was made, with what was told of it then. */
export const originRecordSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('clone'),
    from: boxIdSchema,
    snapshotId: snapshotIdSchema,
    made: diskCopySchema,
  }),
  z.strictObject({ kind: z.literal('import'), made: importedArchiveSchema }),
]);
export type OriginRecord = z.infer<typeof originRecordSchema>;
