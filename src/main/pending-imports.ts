import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PendingImports } from '../hosts/archive-shelf.ts';
import { boxIdPattern, boxId as parseBoxId } from '../kernel/ids.ts';
import { writeWhole } from '../os/files.ts';

/** One empty file for each import that is pending. */
export const openPendingImports = async (dataDir: string): Promise<PendingImports> => {
  const directory = join(dataDir, 'pending-imports');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return {
    add: (boxId) => writeWhole(join(directory, boxId), '', { flush: true }),
    remove: (boxId) => rm(join(directory, boxId), { force: true }),
    list: async () => (await readdir(directory)).filter((name) => boxIdPattern.test(name)).map(parseBoxId),
  };
};
