import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { Cleaner, clean } from '../../src/store/cleaning.ts';
import { settleRoles } from '../../src/store/roles.ts';
import { appendRequest, boxAppend, someBoxId, someHostId, someIntent } from '../support/append-request.ts';
import { eventually } from '../support/eventually.ts';
import { createLogin } from '../support/roles.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());
beforeEach(async () => {
  await store.pool.query('DELETE FROM boxledger.commands; DELETE FROM boxledger.effects');
});

const day = 86_400_000;
const retention = { commandsMs: 30 * day, effectsMs: 7 * day };
const never = new AbortController().signal;
const ago = (ms: number) => timestampFromMs(Date.now() - ms);

/** An effect whose deadline was so long ago, in the given state. */
const effectOf = async (ageMs: number, state: string) => {
  const [box, host] = [someBoxId(), someHostId()];
  const intent = someIntent(box, host, { deadline: ago(ageMs) });
  await store.events.append(appendRequest([boxAppend({ box, effects: [intent] })]));
  await store.pool.query('UPDATE boxledger.effects SET state = $2 WHERE effect_id = $1', [
    intent.effectId,
    state,
  ]);
  return intent.effectId;
};

const left = async () => {
  const { rows } = await store.pool.query('SELECT effect_id FROM boxledger.effects');
  return rows.map((row) => row.effect_id).sort();
};

test('effects that are long over are forgotten; those that are open never are', async () => {
  await effectOf(8 * day, 'settled');
  await effectOf(8 * day, 'cancelled');
  const kept = [
    await effectOf(6 * day, 'settled'),
    await effectOf(6 * day, 'cancelled'),
    await effectOf(400 * day, 'pending'),
    await effectOf(400 * day, 'claimed'),
  ];
  expect(await clean(store.databaseUrl, retention, never)).toEqual({ commands: 0, effects: 2 });
  expect(await left()).toEqual(kept.sort());
});

test('the answer to a command is kept for as long as is said, and then its id is free', async () => {
  const requests = [29, 31].map((days) =>
    appendRequest([boxAppend()], { commandId: `days-${days}`, occurredAt: ago(days * day) }),
  );
  for (const request of requests) await store.events.append(request);
  expect(await clean(store.databaseUrl, retention, never)).toEqual({ commands: 1, effects: 0 });
  const again = await Promise.all(
    ['days-29', 'days-31'].map((commandId) =>
      store.events.append(appendRequest([boxAppend()], { commandId })),
    ),
  );
  expect(again.map(({ kind }) => kind)).toEqual(['answered-before', 'appended']);
});

test('a table of many pages is gone through to its end, and its events are left alone', async () => {
  await store.pool.query(
    `INSERT INTO boxledger.commands (tenant, command_id, digest, answer_kind, stream_id, version, answered_at)
     SELECT 'default', 'many-' || n, repeat('x', 64), 'accepted', 'box/' || n, 1, now() - interval '31 days'
     FROM generate_series(1, 60000) n`,
  );
  const events = async () => (await store.pool.query('SELECT FROM boxledger.events')).rowCount;
  const before = await events();
  expect(await clean(store.databaseUrl, retention, never)).toEqual({ commands: 60_000, effects: 0 });
  expect(await events()).toBe(before);
});

test('one process of several cleans', async () => {
  await effectOf(8 * day, 'settled');
  const client = await store.pool.connect();
  await client.query('SELECT pg_advisory_lock(6021966115)');
  expect(await clean(store.databaseUrl, retention, never)).toBeUndefined();
  await client.query('SELECT pg_advisory_unlock(6021966115)');
  client.release();
  expect(await clean(store.databaseUrl, retention, never)).toEqual({ commands: 0, effects: 1 });
});

test('cleaning goes on by itself, under the rights of the service, until it is closed', async () => {
  await settleRoles(store.databaseUrl);
  const login = await createLogin(store.databaseUrl, 'boxledger_service');
  const cleaner = new Cleaner({
    databaseUrl: login.url,
    retention,
    log: silentLog,
    firstAfterMs: 0,
    intervalMs: 10,
  });
  cleaner.start();
  for (let round = 0; round < 2; round += 1) {
    await effectOf(8 * day, 'settled');
    await eventually('it is forgotten', async () => (await left()).length === 0);
  }
  await cleaner.close();
  await login.drop();
});

test('cleaning goes on beside the making of checkpoints, and neither keeps the other waiting', async () => {
  await effectOf(8 * day, 'settled');
  const cleaned = await store.checkpoints.exclusively(() => clean(store.databaseUrl, retention, never));
  expect(cleaned).toEqual({ commands: 0, effects: 1 });
});
