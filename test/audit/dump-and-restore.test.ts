import { expect, test } from 'vitest';
import { migrate } from '../../src/store/migrate.ts';
import { openStore } from '../../src/store/store.ts';
import { signAll, someKey, verifyDatabase } from '../support/audited.ts';
import { dumpAndRestore, pgDumpMissing, startDebianPostgres } from '../support/debian-postgres.ts';
import { appendRandomLog } from '../support/random-log.ts';
import { silentLog } from '../support/store.ts';

// The Postgres that npm brings has no pg_dump: it is Debian's that is used, where it is.
test.skipIf(pgDumpMissing !== undefined)(
  'a log that was dumped and restored on a fresh server is verified, goes on and is signed on',
  async () => {
    const [first, second] = [await startDebianPostgres(), await startDebianPostgres()];
    try {
      const key = someKey();
      await migrate(first.url);
      const before = await openStore({ databaseUrl: first.url, log: silentLog });
      await appendRandomLog(before, { seed: 1, streams: 5, count: 60 });
      await signAll(before, key, 20);
      await appendRandomLog(before, { seed: 2, streams: 2, count: 5 });
      const kept = await before.checkpoints.last();
      await before.close();
      await dumpAndRestore(first.url, second.url);

      await migrate(second.url);
      const after = await openStore({ databaseUrl: second.url, log: silentLog });
      expect((await verifyDatabase(second.url)).findings).toEqual([]);
      await appendRandomLog(after, { seed: 3, streams: 2, count: 10 });
      await signAll(after, key, 20);
      await after.close();
      expect(await verifyDatabase(second.url, kept && { expect: kept })).toMatchObject({
        findings: [],
        unsealed: 0,
      });
    } finally {
      await first.stop();
      await second.stop();
    }
  },
);
