import { badArchive } from '../box-archive/bad-archive.ts';
import { manifestPath } from '../box-archive/manifest.ts';
import { TreeCopier } from './copy-tree.ts';
import type { DiskFormat } from './disk-format.ts';
import { measureDisk } from './walk-disk.ts';

/** A disk is the tree of its files. Copies share blocks where the file system can. */
export const treeFormat = (): DiskFormat => {
  const copier = new TreeCopier();
  return {
    keep: (_boxId, disk, to, work) => copier.copy(disk, to, null, work),
    copy: (from, to, totalBytes, work) => copier.copy(from, to, totalBytes, work),
    measure: async (disk, signal) => (await measureDisk(disk, signal)).bytes,
    portable: async (disk) => ({ tree: disk, image: null }),
    adopt: async (_tree, { image, disk }) => {
      if (image !== null)
        throw badArchive(manifestPath, 'it is of a machine with an image, and boxes have none here', {
          help: 'Import it on a server with `--driver qemu`.',
        });
      return disk.bytes;
    },
  };
};
