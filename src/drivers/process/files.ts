import { execFile } from 'node:child_process';
import { lstat, rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errnoOf } from '../../kernel/errno.ts';

/** Steps on files that a kill -9 at any moment leaves either undone or done. */

/** False when there is nothing to rename: somebody else was first. */
export const renameIfThere = async (from: string, to: string): Promise<boolean> => {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
};

/** Removes a tree, also one in which directories were made unreadable to their own user. */
export const removeTree = async (path: string): Promise<void> => {
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  try {
    await remove();
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
    await promisify(execFile)('chmod', ['-R', 'u+rwx', '--', path]).catch(() => undefined); // the next line tells
    await remove();
  }
};

export const isThere = async (path: string): Promise<boolean> => {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
};
