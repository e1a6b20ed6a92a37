import { z } from 'zod';
import { consistencySchema } from '../../events/disk-operations.ts';
import { boundedText, jsonObjectSchema, nameSchema, timestampSchema } from '../../events/schemas.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limits } from '../../kernel/limits.ts';
import { badArchive } from './bad-archive.ts';

export const manifestPath = 'manifest.json';

const countSchema = z.int().nonnegative();

/** What a box archive says of itself, before anything else in it. Nothing in it is a secret's value. */
export const manifestSchema = z.strictObject({
  formatVersion: z.literal(1),
  /** Version of the boxledger that wrote it. */
  boxledgerVersion: boundedText(64).min(1),
  /** Options as the exporting box had them; whoever makes a box of them checks them as any others. */
  box: z.strictObject({ name: nameSchema, options: jsonObjectSchema }),
  createdAt: timestampSchema,
  consistency: consistencySchema,
  /** Digest of the image that the disk stands on, without which it is of no use; null: it stands on none. */
  image: z
    .string()
    .regex(/^sha256-[0-9a-f]{64}$/)
    .nullable(),
  disk: z.strictObject({
    /** Entries below `disk/` and that one itself. */
    entries: countSchema,
    /** Sum of the sizes of regular files, each once however many names it has. */
    bytes: countSchema,
    /** What an archive cannot carry, and was left out. */
    skipped: z.strictObject({ sockets: countSchema, devices: countSchema }),
  }),
});
export type ArchiveManifest = z.infer<typeof manifestSchema>;
export type DiskFigures = ArchiveManifest['disk'];

/** What the one who exports says of the box; it is written as given, so secrets have to be gone from it. */
export interface ArchiveManifestInput {
  readonly boxledgerVersion: string;
  readonly box: { readonly name: string; readonly options: JsonObject };
  readonly createdAt: ArchiveManifest['createdAt'];
  readonly consistency: ArchiveManifest['consistency'];
}

export const manifestOf = (
  input: ArchiveManifestInput & Pick<ArchiveManifest, 'image'>,
  disk: DiskFigures,
): Buffer => {
  const manifest = manifestSchema.parse({ formatVersion: 1, ...input, disk });
  return Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
};

export const parseManifest = (bytes: Buffer): ArchiveManifest => {
  const json = jsonOf(bytes);
  const version = z.object({ formatVersion: z.unknown() }).safeParse(json).data?.formatVersion;
  if (version !== 1)
    throw badArchive(manifestPath, `format version ${JSON.stringify(version) ?? 'none'} is not known here`, {
      help: 'This version of boxledger reads format version 1.',
    });
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw badArchive(manifestPath, `${issue?.path.join('.')}: ${issue?.message}`);
};

const jsonOf = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw badArchive(manifestPath, 'it is not JSON', { cause: error });
  }
};

/** Refuses a disk that would be more than an import takes. */
export const refuseOversize = ({ entries, bytes }: DiskFigures, maxBytes: number): void => {
  if (entries > limits.boxArchiveEntriesMax)
    throw badArchive('disk/', `${entries} entries are more than ${limits.boxArchiveEntriesMax}`);
  if (bytes > maxBytes)
    throw badArchive('disk/', `${bytes} bytes are more than the ${maxBytes} allowed here`);
};
