import { chown, mkdir, rename } from 'node:fs/promises';
import { isThere, removeTree, renameIfThere } from './files.ts';
import { boxUid, type LaunchBase } from './launch-plan.ts';
import type { BoxLayout } from './layout.ts';
import { clearLeavings, discard } from './staging.ts';

/** Whom the disk is for; undefined: the service's own user. */
export type Owner = number | undefined;

export const ownerFor = (base: LaunchBase): Owner => (base.serviceIsRoot ? boxUid : undefined);

/**
 * Makes the box's disk unless there is one. It gets its name when it is complete, so a disk that is there is complete,
 * and nothing ever writes over it; what a crash left half made has another name and is made anew.
 */
export const ensureDisk = async (box: BoxLayout, owner: Owner, directoryMode: number): Promise<void> => {
  if (await isThere(box.disk)) return;
  // A restore that did not come to its end: the box has the disk that it had.
  if (await renameIfThere(box.replacedDisk, box.disk)) return;
  await mkdir(box.box, { recursive: true, mode: directoryMode });
  await removeTree(box.origin);
  const half = `${box.disk}.new`;
  await removeTree(half);
  await mkdir(half, { mode: 0o700 });
  if (owner !== undefined) await chown(half, owner, owner);
  await rename(half, box.disk);
};

/** Takes each name away first, so a crash in between leaves no disk or snapshot that looks complete. */
export const removeDiskOf = async (box: BoxLayout): Promise<void> => {
  if (!(await isThere(box.box))) return;
  for (const path of [box.replacedDisk, box.snapshots, box.disk]) await discard(box.staging, path);
  await clearLeavings(box);
  await removeTree(box.box);
};
