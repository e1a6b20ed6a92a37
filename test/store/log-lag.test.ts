import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { examineLog } from '../../src/main/doctor-log.ts';
import { LogWatch } from '../../src/store/log-watch.ts';
import { settleRoles } from '../../src/store/roles.ts';
import { openStore } from '../../src/store/store.ts';
import { appendRequest, boxAppend } from '../support/append-request.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createLogin } from '../support/roles.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const clients: pg.Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
});

/** A connection with a transaction under way that has written. */
const writer = async (databaseUrl: string, application: string) => {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: application });
  clients.push(client);
  await client.connect();
  await client.query('BEGIN; SELECT pg_current_xact_id()');
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  return { client, pid: rows[0].pid as number };
};

/** Until no other test's transaction is older than the one that is meant. */
const lagBehind = (pid: number, of = store) =>
  eventually('the oldest writer is seen', async () => {
    const lag = await of.log.lag();
    return lag.blocker?.pid === pid ? lag : undefined;
  });

const appendOld = (ageMs: number) =>
  store.events.append(appendRequest([boxAppend()], { occurredAt: timestampFromMs(Date.now() - ageMs) }));

test('who holds readers back is named, in whatever database, and how old what waits is', async () => {
  const elsewhere = await createDatabase();
  const { client, pid } = await writer(elsewhere.url, 'slow report');
  await appendOld(3_600_000);
  const { lagMs, blocker } = await lagBehind(pid);
  expect(blocker).toEqual({
    pid,
    application: 'slow report',
    database: new URL(elsewhere.url).pathname.slice(1),
    user: 'postgres',
    transactionAgeMs: expect.any(Number),
    queryAgeMs: expect.any(Number),
  });
  expect(lagMs).toBeGreaterThan(3_500_000);
  await client.query('COMMIT');
  await eventually('nobody is held back', async () => (await store.log.lag()).lagMs === 0);
  await client.end();
  clients.splice(0);
  await elsewhere.drop();
});

test('the service sees who holds readers back without the rights of an administrator', async () => {
  await settleRoles(store.databaseUrl);
  const login = await createLogin(store.databaseUrl, 'boxledger_service');
  const service = await openStore({ databaseUrl: login.url, log: silentLog });
  const { pid } = await writer(store.databaseUrl, 'slow report');
  const { blocker } = await eventually('the oldest writer is seen', async () => {
    const lag = await service.log.lag();
    return lag.blocker?.pid === pid ? lag : undefined;
  });
  expect(blocker).toMatchObject({ application: 'slow report', transactionAgeMs: null });
  await service.close();
  await login.drop();
});

/** A watch over the log, and what it said. */
const watch = () => {
  const said: { fields: { blocker?: { pid: number } }; message: string }[] = [];
  const say = (fields: object, message: string) => void said.push({ fields, message });
  const made = new LogWatch({
    log: store.log,
    keepLog: store.keepLog,
    logger: { ...silentLog, warn: say, info: say },
    intervalMs: 10,
  });
  made.start();
  return { said, close: () => made.close() };
};

test('a lag over the threshold is warned of once, by the name of who makes it, and its end is told', async () => {
  const { client, pid } = await writer(store.databaseUrl, 'slow report');
  await lagBehind(pid);
  await appendOld(6_000);
  const { said, close } = watch();
  await eventually('it is warned', () => said.length > 0);
  await client.query('COMMIT');
  await eventually('its end is told', () => said.length > 1);
  await close();
  expect(said).toEqual([
    {
      fields: {
        lagMs: expect.any(Number),
        blocker: expect.objectContaining({ pid, application: 'slow report' }),
      },
      message: expect.stringMatching(
        /^readers of the log are held back by a transaction that is open for long/,
      ),
    },
    { fields: { lagMs: 0 }, message: 'readers of the log are held back no longer' },
  ]);
});

test('a standby that takes over from under a service that runs begins an epoch', async () => {
  const epochs = async () => (await store.pool.query('SELECT FROM boxledger.log_epochs')).rowCount;
  const before = await epochs();
  const { close } = watch();
  await store.pool.query("UPDATE boxledger.log_epochs SET timeline = '00000000'");
  await eventually('an epoch begins', async () => (await epochs()) === (before ?? 0) + 1);
  await close();
});

test('doctor says who holds readers back, and who could change the log', async () => {
  const { pid } = await writer(store.databaseUrl, 'slow report');
  await appendOld(3_600_000);
  await lagBehind(pid);
  expect(await examineLog(store, store.databaseUrl)).toEqual([
    expect.objectContaining({
      name: 'rights',
      status: 'warning',
      detail: expect.stringContaining('superuser'),
    }),
    expect.objectContaining({
      name: 'readers',
      status: 'warning',
      detail: expect.stringMatching(
        new RegExp(`^readers are 36.* behind; .*pid ${pid} \\(slow report\\), of postgres in test_`),
      ),
    }),
  ]);
});

test('doctor leaves a database alone that has no log yet', async () => {
  const fresh = await createDatabase();
  const empty = await openStore({ databaseUrl: fresh.url, log: silentLog });
  expect(await examineLog(empty, fresh.url)).toMatchObject([{ name: 'log', status: 'ok' }]);
  await empty.close();
  await fresh.drop();
});
