import { chown, mkdir, rename } from 'node:fs/promises';
import { isThere, removeTree } from './files.ts';
import type { BoxLayout } from './layout.ts';

/** Whom the disk is for; undefined: the service's own user. */
type Owner = number | undefined;

/**
 * Makes the box's disk unless there is one. It gets its name when it is complete, so a disk that is there is complete,
 * and nothing ever writes over it; what a crash left half made has another name and is made anew.
 */
export const ensureDisk = async (box: BoxLayout, owner: Owner, directoryMode: number): Promise<void> => {
  if (await isThere(box.disk)) return;
  await mkdir(box.box, { recursive: true, mode: directoryMode });
  const half = `${box.disk}.new`;
  await removeTree(half);
  await mkdir(half, { mode: 0o700 });
  if (owner !== undefined) await chown(half, owner, owner);
  await rename(half, box.disk);
};

/** Takes the disk's name away first, so a crash in between leaves no disk that looks complete. */
export const removeDiskOf = async (box: BoxLayout): Promise<void> => {
  const doomed = `${box.disk}.removed`;
  if (await isThere(box.disk)) {
    await removeTree(doomed);
    await rename(box.disk, doomed);
  }
  await removeTree(box.box);
};
