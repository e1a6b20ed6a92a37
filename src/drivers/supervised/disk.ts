import { mkdir, rename } from 'node:fs/promises';
import { isThere, removeTree, renameIfThere } from './files.ts';
import type { BoxLayout } from './layout.ts';
import { clearLeavings, discard } from './staging.ts';

/**
 * User and group that boxes run as when the service is root; of no other use on any machine we know of (outside of all
 * ranges that systemd, shadow or container engines give out).
 */
export const boxUid = 1_931_000_000;

/** Whom the disk is for; undefined: the service's own user. */
export type Owner = number | undefined;

export const ownerOf = (serviceIsRoot: boolean): Owner => (serviceIsRoot ? boxUid : undefined);

/**
 * Makes the box's disk unless there is one. It gets its name when it is complete, so a disk that is there is complete,
 * and nothing ever writes over it; what a crash left half made has another name and is made anew.
 */
export const ensureDisk = async (
  box: BoxLayout,
  directoryMode: number,
  makeDisk: (path: string) => Promise<void>,
): Promise<void> => {
  if (await isThere(box.disk)) return;
  // A restore that did not come to its end: the box has the disk that it had.
  if (await renameIfThere(box.replacedDisk, box.disk)) return;
  await mkdir(box.box, { recursive: true, mode: directoryMode });
  await removeTree(box.origin);
  const half = `${box.disk}.new`;
  await removeTree(half);
  await makeDisk(half);
  await rename(half, box.disk);
};

/** Takes each name away first, so a crash in between leaves no disk or snapshot that looks complete. */
export const removeDiskOf = async (box: BoxLayout): Promise<void> => {
  if (!(await isThere(box.box))) return;
  for (const path of [box.replacedDisk, box.snapshots, box.disk]) await discard(box.staging, path);
  await clearLeavings(box);
  await removeTree(box.box);
};
