import { mkdir } from 'node:fs/promises';
import type { BoxId } from '../../kernel/ids.ts';
import { otherDisk } from '../disk-errors.ts';
import { type OriginRecord, originRecordSchema } from '../disk-records.ts';
import type { DiskContext } from './disk-context.ts';
import { isThere } from './files.ts';
import type { BoxLayout } from './layout.ts';
import { readRecord, writeRecord } from './record-file.ts';
import { commit, stage } from './staging.ts';

/** The disk of a box that is made of something: it begins with no disk, and ends with one whose origin is written down. */

/** Undefined when there is no disk. `AlreadyExists` when there is one that began empty. */
export const originOfDisk = async (boxId: BoxId, box: BoxLayout): Promise<OriginRecord | undefined> => {
  if (!(await isThere(box.disk))) return undefined;
  const origin = await readRecord(box.origin, originRecordSchema);
  if (origin === undefined) throw otherDisk(boxId);
  return origin;
};

/** A path to make the disk at. */
export const stageNewDisk = async ({ directoryMode }: DiskContext, box: BoxLayout): Promise<string> => {
  await mkdir(box.box, { recursive: true, mode: directoryMode });
  return stage(box.staging);
};

/** Gives the disk its name. The record comes first, and means nothing as long as there is no disk. */
export const keepNewDisk = async (
  { layout, passed, atRest }: DiskContext,
  boxId: BoxId,
  staged: string,
  origin: OriginRecord,
  signal: AbortSignal,
): Promise<void> => {
  const box = layout.box(boxId);
  await writeRecord(box.origin, origin);
  passed(`${origin.kind}.recorded`);
  await atRest(boxId, async () => {
    signal.throwIfAborted();
    if (await isThere(box.disk)) throw otherDisk(boxId);
    await commit(staged, box.disk);
  });
  passed(`${origin.kind}.kept`);
};
