import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ServeOptions } from '../cli/serve-options.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type DataDirLock, lockDataDir } from '../store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';
import { runningPostgresUrl } from '../store/running-postgres.ts';
import type { StoreLog } from '../store/store-log.ts';
import type { Teardown } from './teardown.ts';

/**
 * Where a log that exists is: the configured database, or the one under the data dir, as it is while a server uses it, else
 * started until the teardown. No data dir is made.
 */
export const logDatabase = async (
  { dataDir, databaseUrl }: Pick<ServeOptions, 'dataDir' | 'databaseUrl'>,
  log: StoreLog,
  teardown: Teardown,
): Promise<string> => {
  if (databaseUrl !== undefined) return databaseUrl;
  if (!existsSync(join(dataDir, 'postgres')))
    throw new BoxledgerError('NotFound', `there is no log in ${dataDir}`, {
      help: 'Give the data dir of a server by --data-dir, or its database by --database-url.',
    });
  const lock = await lockIfFree(dataDir);
  if (lock === undefined) return runningPostgresUrl(dataDir);
  teardown.add('lock', () => lock.release());
  const postgres = await openEmbeddedPostgres(dataDir, log);
  teardown.add('embedded Postgres', () => postgres.close());
  return postgres.url;
};

/** Undefined when a server has the data dir. */
const lockIfFree = async (dataDir: string): Promise<DataDirLock | undefined> => {
  try {
    return await lockDataDir(dataDir);
  } catch (error) {
    if (error instanceof BoxledgerError && error.code === 'InvalidState') return undefined;
    throw error;
  }
};
