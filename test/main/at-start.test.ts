import { expect, test } from 'vitest';
import { parseServeOptions, type ServeOptions } from '../../src/cli/serve-options.ts';
import { migrateDatabase } from '../../src/main/migrate.ts';

/** Nothing listens on port 1. */
const options = (): Promise<ServeOptions> =>
  parseServeOptions({ databaseUrl: 'postgres://svc@127.0.0.1:1/boxes', logLevel: 'silent' }, {}, '/');

test('a database that is not there is for the operator to start or to name, not to call again', async () => {
  await expect(migrateDatabase(await options())).rejects.toMatchObject({
    code: 'Unavailable',
    message: 'the database cannot be reached',
    help: 'Start Postgres, or correct DATABASE_URL.',
  });
});
