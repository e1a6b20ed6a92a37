import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../../src/store/migrate.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/store.ts';

let database: TestDatabase;
let store: Store;
beforeAll(async () => {
  database = await createDatabase();
  store = await openStore({ databaseUrl: database.url, log: silentLog });
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

test('processes that migrate at once apply each migration once, and the next finds nothing to do', async () => {
  const applied = await Promise.all([store.migrate(), store.migrate(), store.migrate()]);
  const files = readdirSync(new URL('../../src/store/migrations/', import.meta.url));
  expect(applied.flat()).toEqual(files.sort().map((file) => file.replace(/\.sql$/, '')));
  expect(await store.migrate()).toEqual([]);
});

test('a database of a newer boxledger is refused', async () => {
  await store.pool.query("INSERT INTO boxledger.migrations (number, name) VALUES (9999, '9999-future')");
  await expect(store.migrate()).rejects.toMatchObject({
    code: 'InvalidState',
    details: { newest: '9999-future' },
  });
  await store.pool.query('DELETE FROM boxledger.migrations WHERE number = 9999');
});

test('a database that was never migrated says what to do', async () => {
  const fresh = await createDatabase();
  const early = await openStore({ databaseUrl: fresh.url, log: silentLog });
  await expect(early.log.end()).rejects.toMatchObject({ code: 'Internal', help: 'Run boxledger migrate.' });
  await early.close();
  await fresh.drop();
});

test('a server that is not there is unavailable', async () => {
  const nowhere = { databaseUrl: 'postgres://postgres@127.0.0.1:1/postgres', log: silentLog };
  await expect(openStore(nowhere)).rejects.toMatchObject({ code: 'Unavailable', retry: true });
  await expect(migrate(nowhere.databaseUrl)).rejects.toMatchObject({ code: 'Unavailable', retry: true });
});
