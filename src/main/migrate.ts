import pino from 'pino';
import type { ServeOptions } from '../cli/serve-options.ts';
import { lockDataDir } from '../store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';
import { prepareDatabase } from './prepare-database.ts';
import { Teardown } from './teardown.ts';

/** Brings the schema of the configured database, or of the one under the data dir, up to date. */
export const migrateDatabase = async (options: ServeOptions): Promise<readonly string[]> => {
  const { dataDir, databaseUrl, logLevel } = options;
  const log = pino({ level: logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
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
    const { applied } = await prepareDatabase(url, options, log);
    return applied;
  } finally {
    await teardown.run();
  }
};
