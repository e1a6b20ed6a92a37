import type { ServeOptions } from '../cli/serve-options.ts';
import { lockDataDir } from '../store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';
import { openStore } from '../store/store.ts';
import { atStart, databaseHelp } from './at-start.ts';
import { serviceLog } from './service-log.ts';
import { Teardown } from './teardown.ts';

/** Brings the schema of the configured database, or of the one under the data dir, up to date. */
export const migrateDatabase = async ({
  dataDir,
  databaseUrl,
  logLevel,
}: ServeOptions): Promise<readonly string[]> => {
  const log = serviceLog(logLevel);
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    let url = databaseUrl;
    if (url === undefined) {
      const lock = await lockDataDir(dataDir);
      teardown.add('lock', () => lock.release());
      const postgres = await openEmbeddedPostgres(dataDir, log);
      teardown.add('embedded Postgres', () => postgres.close());
      url = postgres.url;
    }
    const store = await atStart(databaseHelp, () => openStore({ databaseUrl: url, log }));
    teardown.add('store', () => store.close());
    return await store.migrate();
  } finally {
    await teardown.run();
  }
};
