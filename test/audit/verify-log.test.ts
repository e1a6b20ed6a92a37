import { expect, test } from 'vitest';
import { signAll, someKey, verifyDatabase } from '../support/audited.ts';
import { appendRandomLog } from '../support/random-log.ts';
import { createStore } from '../support/store.ts';

test('a log that nobody has touched is verified, sealed or not', async () => {
  const store = await createStore();
  await appendRandomLog(store, { seed: 1, streams: 20, count: 300 });
  const before = await verifyDatabase(store.databaseUrl);
  expect(before).toMatchObject({ findings: [], checkpoints: 0, last: null });
  expect(before.unsealed).toBe(before.events);
  const made = await signAll(store, someKey(), 70);
  expect(made.map(({ count }) => count).slice(0, -1)).toEqual(made.slice(1).map(() => 70));
  await appendRandomLog(store, { seed: 2, streams: 5, count: 20 });
  const after = await verifyDatabase(store.databaseUrl, { streamsMax: 4 });
  expect(after).toMatchObject({ findings: [], checkpoints: made.length, keysTrusted: false });
  expect(after.unsealed).toBe(after.events - before.events);
  await store.close();
});
