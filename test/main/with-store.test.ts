import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withStore } from '../../src/main/with-store.ts';
import { lockDataDir } from '../../src/store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { runningPostgresUrl } from '../../src/store/running-postgres.ts';
import { silentLog } from '../support/store.ts';

const directoryOf = (dataDir: string) =>
  withStore({ dataDir, databaseUrl: undefined, logLevel: 'silent' }, async (store) => {
    const { rows } = await store.pool.query("SELECT current_setting('data_directory') AS directory");
    return rows[0]?.directory;
  });

test('the store of a data dir is reached while its server runs, and while none does; none is made', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-with-store-'));
  const cluster = join(dataDir, 'postgres', 'data');
  await expect(directoryOf(dataDir)).rejects.toMatchObject({ code: 'NotFound' });
  expect(await readdir(dataDir)).toEqual([]);
  const lock = await lockDataDir(dataDir);
  const postgres = await openEmbeddedPostgres(dataDir, silentLog);
  expect(await directoryOf(dataDir)).toBe(cluster);
  await postgres.close();
  await lock.release();
  expect(await directoryOf(dataDir)).toBe(cluster);
  await expect(runningPostgresUrl(dataDir)).rejects.toMatchObject({ code: 'Unavailable' });
  await rm(dataDir, { recursive: true, force: true });
});
