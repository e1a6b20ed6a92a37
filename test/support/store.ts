import { openStore, type Store } from '../../src/store/store.ts';
import type { StoreLog } from '../../src/store/store-log.ts';
import { createDatabase } from './database.ts';

const ignore = () => undefined;
export const silentLog: StoreLog = { debug: ignore, info: ignore, warn: ignore, error: ignore };

export interface TestStore extends Store {
  readonly databaseUrl: string;
}

/** A migrated store in a database of its own; closing it drops the database. */
export const createStore = async (): Promise<TestStore> => {
  const database = await createDatabase();
  const store = await openStore({ databaseUrl: database.url, log: silentLog });
  await store.migrate();
  return {
    ...store,
    databaseUrl: database.url,
    close: async () => {
      await store.close();
      await database.drop();
    },
  };
};
