import { chmod, chown, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { processIdentitySchema } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { readIfThere, writeWhole } from '../../os/files.ts';
import { sizeSchema } from './boot-record.ts';
import type { Owner } from './disk.ts';
import { removeTree, renameIfThere, sha256Of } from './files.ts';
import type { BoxLayout } from './layout.ts';
import { jsonOf } from './record-file.ts';

/*
 * A box whose memory is on disk, and of which nothing runs: it is frozen, and outlasts its host.
 *
 * | on disk | what it means |
 * | --- | --- |
 * | `memory.new/` | it was about to be suspended, and runs |
 * | `memory/` | it is suspended; what still runs of it, or runs again, has done nothing since |
 * | `memory.old/` | it has gone on, or was ended |
 */
const suspensionRecordSchema = z.strictObject({
  format: z.literal(1),
  generation: z.int().nonnegative(),
  /** What the log knows it by. */
  process: processIdentitySchema,
  /** What its machine was made with. */
  size: sizeSchema,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type SuspensionRecord = z.infer<typeof suspensionRecordSchema>;

const recordName = 'suspended.json';
/** In the directory, whatever the driver's kind keeps in it. */
export const memoryName = 'memory';

/** Undefined: the box is not suspended. */
export const readSuspension = async (box: BoxLayout): Promise<SuspensionRecord | undefined> => {
  const text = await readIfThere(join(box.memory, recordName));
  if (text === undefined) return undefined;
  const parsed = suspensionRecordSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new BoxledgerError('Internal', `${box.memory} is not a memory that this version knows`, {
    help: 'It was damaged, or written by a newer version. Remove the directory: the box has ended then.',
    cause: parsed.error,
  });
};

/** Has the memory written to a path, and gives the box what was written: from then on it is suspended. */
export const keepMemory = async (
  box: BoxLayout,
  record: Omit<SuspensionRecord, 'format' | 'sha256'>,
  owner: Owner,
  save: (path: string) => Promise<void>,
): Promise<void> => {
  const half = `${box.memory}.new`;
  await removeTree(half);
  try {
    await mkdir(half, { mode: 0o700 });
    const path = join(half, memoryName);
    await save(path);
    await chmod(path, 0o400);
    const whole = { format: 1, ...record, sha256: await sha256Of(path) };
    await writeWhole(join(half, recordName), `${JSON.stringify(whole)}\n`, { flush: true });
    if (owner !== undefined) for (const each of [path, half]) await chown(each, owner, owner);
    await rename(half, box.memory);
  } finally {
    await removeTree(half);
  }
};

/** Throws where the memory is not what was kept. */
export const checkMemory = async (box: BoxLayout, { sha256 }: SuspensionRecord): Promise<void> => {
  if ((await sha256Of(join(box.memory, memoryName))) === sha256) return;
  throw new BoxledgerError('Internal', 'the memory that was kept of the box is damaged', {
    help: 'Stop the box and start it again: its disk is whole.',
  });
};

/** The box is suspended no more. */
export const discardMemory = async (box: BoxLayout): Promise<void> => {
  for (const left of [`${box.memory}.new`, `${box.memory}.old`]) await removeTree(left);
  if (await renameIfThere(box.memory, `${box.memory}.old`)) await removeTree(`${box.memory}.old`);
};
