import type { BoxId } from '../../kernel/ids.ts';
import { limits } from '../../kernel/limits.ts';
import { readArchive } from '../box-archive/read-archive.ts';
import type { DiskKeeper, ImportedArchive } from '../disks.ts';
import { flushFileSystem } from './copy-tree.ts';
import type { DiskContext } from './disk-context.ts';
import { DiskUnpacking } from './disk-unpacking.ts';
import { keepNewDisk, stageNewDisk } from './new-disk.ts';
import { spaced } from './spaced-progress.ts';

/** Unpacks the archive out of sight, and lets it be the box's disk once all of it was found good. */
export const importNewDisk = async (
  context: DiskContext,
  boxId: BoxId,
  archive: AsyncIterable<Uint8Array>,
  { signal, onProgress, maxBytes = limits.boxArchiveDiskBytesMax }: Parameters<DiskKeeper['importDisk']>[2],
): Promise<ImportedArchive> => {
  const box = context.layout.box(boxId);
  const staged = await stageNewDisk(context, box);
  context.passed('import.begun');
  const tell = spaced(onProgress);
  const onBytes = (bytes: number) => tell({ bytes, totalBytes: null });
  const unpacking = new DiskUnpacking(staged, context.owner);
  const figures = await readArchive(archive, { maxBytes, signal, onBytes }, unpacking);
  await unpacking.end();
  const sizeBytes = await context.format.adopt(staged, figures.manifest, signal);
  await flushFileSystem(box.staging, signal);
  context.passed('import.staged');
  const made = { ...figures, sizeBytes };
  await keepNewDisk(context, boxId, staged, { kind: 'import', made }, signal);
  onProgress?.({ bytes: figures.archiveBytes, totalBytes: figures.archiveBytes });
  return made;
};
