import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Where the embedded Postgres of a server that is running on this data dir can be reached; undefined when it says nothing.
 * Read from what Postgres itself writes down (https://www.postgresql.org/docs/current/storage-file-layout.html).
 */
export const runningPostgresUrl = async (dataDir: string): Promise<string | undefined> => {
  const home = join(dataDir, 'postgres');
  const [pidFile, password] = await Promise.all([
    textOf(join(home, 'data', 'postmaster.pid')),
    textOf(join(home, 'password')),
  ]);
  const [, , , port, socketDir, host] = pidFile?.split('\n') ?? [];
  if (password === undefined || !port) return undefined;
  const at = socketDir
    ? `localhost:${port}/boxledger?host=${encodeURIComponent(socketDir)}`
    : `${host}:${port}/boxledger`;
  return `postgres://boxledger:${password}@${at}`;
};

const textOf = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};
