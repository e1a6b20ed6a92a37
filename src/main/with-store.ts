import type { ServeOptions } from '../cli/serve-options.ts';
import { openStore, type Store } from '../store/store.ts';
import { atStart, databaseHelp } from './at-start.ts';
import { logDatabase } from './log-database.ts';
import { serviceLog } from './service-log.ts';
import { Teardown } from './teardown.ts';

/** Does something with the store of a log that exists, whether a server is running on it or not. */
export const withStore = async <Result>(
  options: Pick<ServeOptions, 'dataDir' | 'databaseUrl' | 'logLevel'>,
  work: (store: Store) => Promise<Result>,
): Promise<Result> => {
  const log = serviceLog(options.logLevel);
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    const databaseUrl = await logDatabase(options, log, teardown);
    const store = await atStart(databaseHelp, () => openStore({ databaseUrl, log }));
    teardown.add('store', () => store.close());
    return await work(store);
  } finally {
    await teardown.run();
  }
};
