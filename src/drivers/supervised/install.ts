import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A file of that name has that content: it gets its name when it is whole. */
export const installFile = async (
  directory: string,
  name: string,
  extension: string,
  content: Buffer,
): Promise<string> => {
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const path = join(directory, `${name}-${digest}.${extension}`);
  if (existsSync(path)) return path;
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(fresh, content);
  await chmod(fresh, 0o644);
  await rename(fresh, path);
  return path;
};
