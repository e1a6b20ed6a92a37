import { readFile, rename, writeFile } from 'node:fs/promises';
import { errnoOf } from '../kernel/errno.ts';

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

interface WriteOptions {
  readonly mode?: number;
  /** Whether it has to outlast a crash of the machine too, and not only one of this process. */
  readonly flush?: boolean;
}

/** The file has its old content or the new one, whole, wherever a kill -9 falls. One writer at a time. */
export const writeWhole = async (
  path: string,
  text: string,
  { mode = 0o600, flush = false }: WriteOptions = {},
): Promise<void> => {
  const draft = `${path}.new`;
  await writeFile(draft, text, { mode, flush });
  await rename(draft, path);
};
