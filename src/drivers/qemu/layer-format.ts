import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BoxId } from '../../kernel/ids.ts';
import { badArchive } from '../box-archive/bad-archive.ts';
import { manifestPath } from '../box-archive/manifest.ts';
import type { Owner } from '../supervised/disk.ts';
import type { DiskFormat } from '../supervised/disk-format.ts';
import { diskBytes } from './disk-size.ts';
import type { ImageStore } from './image/image-store.ts';
import { adoptFile, bytesOf, copyDisk, exportDisk, keepDisk, readDisk } from './layered-disk.ts';
import { lookAtQcow2 } from './qcow2-head.ts';
import { runTool } from './tools.ts';

export interface LayerContext {
  readonly owner: Owner;
  readonly images: ImageStore;
  /** Has the box's machine, if it runs, write to that file of its disk, unless it does. */
  readonly switchTo: (boxId: BoxId, active: string) => Promise<void>;
}

/** The one file of an exported disk. */
const portableName = 'disk.qcow2';

/** A disk is layers of qcow2 files; copies share them. */
export const layerFormat = ({ owner, images, switchTo }: LayerContext): DiskFormat => ({
  keep: async (boxId, disk, to) => {
    await keepDisk(disk, to, owner, (active) => switchTo(boxId, active));
    return 'reflink';
  },
  copy: async (from, to, totalBytes, { onProgress }) => {
    await copyDisk(from, to, owner);
    if (totalBytes !== null) onProgress?.({ bytes: totalBytes, totalBytes });
    return 'reflink';
  },
  measure: bytesOf,
  portable: async (disk, aside, signal) => {
    await mkdir(aside, { mode: 0o700 });
    await exportDisk(disk, join(aside, portableName), signal);
    return { tree: aside, image: (await readDisk(disk)).image };
  },
  adopt: async (tree, { image }, signal) => {
    if (image === null)
      throw badArchive(manifestPath, 'it stands on no image, and boxes are machines here', {
        help: 'Import it on a server with `--driver process`.',
      });
    await refuseWrongFile(tree, signal);
    await images.find(image);
    await adoptFile(tree, portableName, image, owner);
    return bytesOf(tree);
  },
});

/** An archive may come from anywhere: QEMU opens nothing for it that a header could name, and no damaged file. */
const refuseWrongFile = async (tree: string, signal: AbortSignal): Promise<void> => {
  const path = join(tree, portableName);
  const names = await readdir(tree);
  if (names.length !== 1 || names[0] !== portableName || !(await lstat(path)).isFile())
    throw badArchive('disk/', `it holds something else than one file ${portableName}`);
  const found = await lookAtQcow2(path, { maxBytes: diskBytes, below: null });
  if ('problem' in found) throw badArchive(`disk/${portableName}`, found.problem);
  await runTool('qemu-img', ['check', '-q', '-f', 'qcow2', path], { signal }).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw badArchive(`disk/${portableName}`, 'it is damaged', { cause });
  });
};
