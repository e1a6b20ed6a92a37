import type { ServeOptions } from '../cli/serve-options.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { lockDataDir } from '../store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';
import { runningPostgresUrl } from '../store/running-postgres.ts';
import { openStore, type Store } from '../store/store.ts';
import type { StoreLog } from '../store/store-log.ts';
import { atStart, databaseHelp } from './at-start.ts';
import { serviceLog } from './service-log.ts';
import { Teardown } from './teardown.ts';

export type DatabaseOptions = Pick<ServeOptions, 'dataDir' | 'databaseUrl' | 'logLevel'>;

/**
 * Does something with the store of the configured database, or of the one under the data dir, whether a server is running
 * on it or not.
 */
export const withStore = async <Result>(
  { dataDir, databaseUrl, logLevel }: DatabaseOptions,
  work: (store: Store) => Promise<Result>,
): Promise<Result> => {
  const log = serviceLog(logLevel);
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    const url = databaseUrl ?? (await ownDatabase(dataDir, log, teardown));
    const store = await atStart(databaseHelp, () => openStore({ databaseUrl: url, log }));
    teardown.add('store', () => store.close());
    return await work(store);
  } finally {
    await teardown.run();
  }
};

/** The data dir's Postgres: its server's while one is running, else started for as long as it is needed. */
const ownDatabase = async (dataDir: string, log: StoreLog, teardown: Teardown): Promise<string> => {
  try {
    const lock = await lockDataDir(dataDir);
    teardown.add('lock', () => lock.release());
  } catch (error) {
    if (!(error instanceof BoxledgerError) || error.code !== 'InvalidState') throw error;
    const running = await runningPostgresUrl(dataDir);
    if (running === undefined) throw error;
    return running;
  }
  const postgres = await openEmbeddedPostgres(dataDir, log);
  teardown.add('embedded Postgres', () => postgres.close());
  return postgres.url;
};
