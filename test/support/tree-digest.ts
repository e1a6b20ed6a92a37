import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Of every name, kind, mode and content below `directory`; `leaveOut`: names at its top that do not count. */
export const treeDigest = async (directory: string, leaveOut: readonly string[] = []): Promise<string> => {
  const hash = createHash('sha256');
  const visit = async (path: string, name: string) => {
    const stats = await lstat(path);
    hash.update(`${name}\0${stats.mode.toString(8)}\0`);
    if (stats.isSymbolicLink()) hash.update(await readlink(path));
    if (stats.isFile()) hash.update(await readFile(path));
    if (!stats.isDirectory()) return;
    for (const entry of (await readdir(path)).sort())
      if (name !== '' || !leaveOut.includes(entry)) await visit(join(path, entry), `${name}/${entry}`);
  };
  await visit(directory, '');
  return hash.digest('hex');
};

/** Everything below `directory` down to `depth` levels, as paths relative to it. */
export const namesBelow = async (directory: string, depth: number): Promise<readonly string[]> => {
  const found: string[] = [];
  const visit = async (path: string, left: number) => {
    for (const entry of await readdir(join(directory, path), { withFileTypes: true })) {
      const name = path === '' ? entry.name : `${path}/${entry.name}`;
      found.push(name);
      if (entry.isDirectory() && left > 1) await visit(name, left - 1);
    }
  };
  await visit('', depth);
  return found.sort();
};
