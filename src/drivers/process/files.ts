import { execFile } from 'node:child_process';
import { lstat, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errnoOf } from '../../kernel/errno.ts';

/** Steps on files that a kill -9 at any moment leaves either undone or done. */

/** Undefined when there is no such file. */
export const readIfThere = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // ENODEV, ESRCH: a file of /proc or of a cgroup whose owner has just gone.
    if (['ENOENT', 'ENOTDIR', 'ENODEV', 'ESRCH'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
};

/** The file has its old content or the new one, whole. One writer at a time. */
export const writeWhole = async (path: string, text: string): Promise<void> => {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
};

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
