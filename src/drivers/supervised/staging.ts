import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../kernel/errno.ts';
import { isThere, moveTree, removeTree, renameIfThere } from './files.ts';
import type { BoxLayout } from './layout.ts';

/**
 * A name below a staging directory means nothing: whatever is made is made there and renamed to where it belongs when it
 * is whole, and whatever is removed is renamed to there first. So each of both is done or undone at every moment. Names
 * are never used twice: a copying program that outlives its killed service writes into nothing that is made later.
 */

const newName = (staging: string): string => join(staging, randomBytes(8).toString('hex'));

/** A path at which nothing is yet. */
export const stage = async (staging: string): Promise<string> => {
  await mkdir(staging, { recursive: true, mode: 0o700 });
  return newName(staging);
};

/** Gives the staged tree its name, for good. A kill -9 may leave a root that was shut to its own user open to that one. */
export const commit = async (staged: string, path: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const mode = await moveTree(staged, path);
  if (mode !== undefined) await chmod(path, mode);
  await flushDirectory(dirname(path));
};

/** Takes the tree's name away, for good, and then removes it. Nothing there is success. */
export const discard = async (staging: string, path: string): Promise<void> => {
  if (!(await isThere(path))) return;
  const doomed = await stage(staging);
  await moveTree(path, doomed);
  await flushDirectory(dirname(path));
  await removeTree(doomed);
};

/** Removes what a crash or a failure left in a staging directory, and that one itself. */
export const clearStaging = async (staging: string): Promise<void> => {
  for (const name of await namesIn(staging)) {
    const doomed = newName(staging);
    // Away under another name first: what may still be writing into it finds it no more.
    if (await renameIfThere(join(staging, name), doomed)) await removeTree(doomed);
  }
  await removeIfEmpty(staging);
};

/**
 * A restore takes two renames: the old disk becomes `disk.replaced`, then the new one becomes `disk`. Whoever finds the
 * first without the second puts the old disk back; the other way round the restore is through, and the old one goes.
 */
export const settleDisk = async (box: BoxLayout): Promise<void> => {
  if (!(await isThere(box.replacedDisk))) return;
  if (await isThere(box.disk)) await discard(box.staging, box.replacedDisk);
  else await renameIfThere(box.replacedDisk, box.disk);
};

/** Makes good whatever was begun on the box's disk and did not come to its end. Nothing else may be at work on it. */
export const clearLeavings = async (box: BoxLayout): Promise<void> => {
  await settleDisk(box);
  await clearStaging(box.staging);
  await clearStaging(box.exportsStaging);
  if (!(await isThere(box.disk))) await removeTree(box.origin);
  await removeIfEmpty(box.snapshots);
  await removeIfEmpty(box.box);
};

export const namesIn = async (directory: string): Promise<readonly string[]> => {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
};

const removeIfEmpty = async (directory: string): Promise<void> => {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
};

/** A rename lasts through a power failure once its directory has been flushed. */
export const flushDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};
