import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, lstat, rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
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

/**
 * Renames a tree into another directory, for which its user has to be allowed to write to its root: the root's `..` changes. What
 * runs in a box decides on the mode of its disk's root, so that it is made writable first where need be. Returns the mode
 * that it had then; undefined when it is as it was. `ENOENT` when it is not there.
 */
export const moveTree = async (from: string, to: string): Promise<number | undefined> => {
  try {
    await rename(from, to);
    return undefined;
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
    const stats = await lstat(from);
    if (!stats.isDirectory()) throw error;
    const mode = stats.mode & 0o7777;
    await chmod(from, mode | 0o700);
    await rename(from, to);
    return mode;
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

/** In hexadecimal digits. */
export const sha256Of = async (path: string): Promise<string> => {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), digest);
  return digest.digest('hex');
};
