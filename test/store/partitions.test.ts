import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import type { EventStore } from '../../src/commands/event-store.ts';
import { boxStream, noVersion } from '../../src/kernel/ids.ts';
import { appendResult, prepareAppend, requestJson } from '../../src/store/append-request.ts';
import { migrate } from '../../src/store/migrate.ts';
import { settleRoles } from '../../src/store/roles.ts';
import { parseAppendReplies } from '../../src/store/row-parsers.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId } from '../support/append-request.ts';
import { signAll, someKey, verifyDatabase } from '../support/audited.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { cutPartition, partitionsOf } from '../support/partitions.ts';
import { appendRandomLog } from '../support/random-log.ts';
import { createLogin, sql } from '../support/roles.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const open = async (): Promise<TestStore> => {
  const store = await createStore();
  closers.push(store.close);
  return store;
};

/** All events, once so many can be read. */
const readable = (store: Store, count: number) =>
  eventually(`${count} events`, async () => {
    const { events } = await store.log.readAll('', 1_000);
    return events.length === count ? events : undefined;
  });

/** A box with one event in each of `partitions` partitions. */
const spread = async (store: TestStore, partitions: number) => {
  const box = someBoxId();
  let after: { readonly version: bigint; readonly hash: string } | undefined;
  for (let partition = 0; partition < partitions; partition += 1) {
    const append = boxAppend(
      after === undefined
        ? { box }
        : { box, after, events: [{ type: 'box.healthChanged', data: { health: 'healthy' } }] },
    );
    const result = await store.events.append(appendRequest([append]));
    if (result.kind !== 'appended') throw new Error(result.kind);
    after = result.streams[0];
    await cutPartition(store.databaseUrl);
  }
  return box;
};

/** Appends by the function that every schema has. */
const appendsEach = (events: EventStore, client: pg.Client): EventStore => ({
  load: (stream) => events.load(stream),
  answerOf: (tenant, id, digest) => events.answerOf(tenant, id, digest),
  append: async (request) => {
    const prepared = prepareAppend(request);
    const { rows } = await client.query('SELECT boxledger.append_each($1::jsonb) AS replies', [
      `[${requestJson(prepared)}]`,
    ]);
    const [reply] = parseAppendReplies(rows[0]);
    if (reply === undefined) throw new Error('an append is replied to');
    return appendResult(prepared, reply);
  },
});

test('a log from before partitions becomes the first one, unmoved, and goes on by its numbers', async () => {
  const { url, drop } = await createDatabase();
  closers.push(drop);
  const directory = new URL('../../src/store/migrations/', import.meta.url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    'CREATE SCHEMA boxledger; CREATE TABLE boxledger.migrations (number integer PRIMARY KEY, name text, applied_at timestamptz DEFAULT now())',
  );
  for (const file of readdirSync(directory).sort().slice(0, 10)) {
    await client.query(readFileSync(new URL(file, directory), 'utf8'));
    await client.query('INSERT INTO boxledger.migrations VALUES ($1, $2)', [
      Number(file.slice(0, 4)),
      file.slice(0, -4),
    ]);
  }
  const store = await openStore({ databaseUrl: url, log: silentLog });
  closers.push(() => store.close());
  await appendRandomLog({ events: appendsEach(store.events, client) }, { seed: 1, streams: 3, count: 20 });
  const where = "SELECT oid, relfilenode FROM pg_class WHERE oid = 'boxledger.%'::regclass";
  const before = await sql(url, where.replace('%', 'events'));
  expect((await store.migrate())[0]).toBe('0011-partitions');
  expect(await sql(url, where.replace('%', 'events_1'))).toEqual(before);
  await client.end();
  await appendRandomLog(store, { seed: 2, streams: 3, count: 20 });
  const { length } = await sql(url, 'SELECT FROM boxledger.events');
  const events = await readable(store, length);
  expect(events.map(({ position }) => position)).toEqual(Array.from({ length }, (_, at) => BigInt(at + 1)));
  expect((await verifyDatabase(url)).findings).toEqual([]);
});

test('a log of several partitions is read, folded and audited as one', async () => {
  const store = await open();
  const box = await spread(store, 4);
  await spread(store, 2);
  expect((await partitionsOf(store.databaseUrl)).length).toBeGreaterThan(6);
  const events = await readable(store, 6);
  for (const [index, { cursor }] of events.entries())
    expect((await store.log.readAll(cursor, 100)).events).toEqual(events.slice(index + 1));
  const stream = await store.log.readStream(boxStream(box), noVersion, 3);
  expect(stream.map(({ version }) => version)).toEqual([1n, 2n, 3n]);
  await signAll(store, someKey());
  expect(await verifyDatabase(store.databaseUrl)).toMatchObject({ events: 6, unsealed: 0, findings: [] });
});

test('a checkpoint ends where a partition ends, also when there is more to sign', async () => {
  const store = await open();
  const append = async (count: number) => {
    for (let left = count; left > 0; left -= 1) await store.events.append(appendRequest([boxAppend()]));
  };
  await append(25);
  await cutPartition(store.databaseUrl);
  await cutPartition(store.databaseUrl);
  await append(25);
  await readable(store, 50);
  const made = await signAll(store, someKey(), 20);
  expect(made.map(({ count }) => count)).toEqual([20, 5, 20, 5]);
});

test('an append that finds no partition makes the next one, also under the service, and is appended once', async () => {
  const { databaseUrl } = await open();
  await settleRoles(databaseUrl);
  const login = await createLogin(databaseUrl, 'boxledger_service');
  const store = await openStore({ databaseUrl: login.url, log: silentLog });
  closers.push(login.drop, () => store.close());
  await cutPartition(databaseUrl, { next: false });
  const boxes = Array.from({ length: 20 }, someBoxId);
  const results = await Promise.all(
    boxes.map((box) => store.events.append(appendRequest([boxAppend({ box })]))),
  );
  expect(results.every(({ kind }) => kind === 'appended')).toBe(true);
  expect(await sql(databaseUrl, 'SELECT FROM boxledger.events')).toHaveLength(20);
  expect(await partitionsOf(databaseUrl)).toHaveLength(3);
});

test('there is a partition for the present and the next one, however many look after it', async () => {
  const store = await open();
  const before = await partitionsOf(store.databaseUrl);
  await Promise.all([store.keepLog(), store.keepLog(), store.keepLog()]);
  expect(await partitionsOf(store.databaseUrl)).toEqual(before);
  await cutPartition(store.databaseUrl, { next: false });
  await Promise.all([store.keepLog(), store.keepLog(), store.keepLog()]);
  const after = await partitionsOf(store.databaseUrl);
  expect(after).toHaveLength(3);
  for (const [index, { begins }] of after.entries()) expect(begins).toBe(after[index - 1]?.ends ?? 0n);
});

test('a partition is added while readers are at work and appends go on', async () => {
  const store = await open();
  await spread(store, 1);
  const reader = await store.pool.connect();
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await reader.query('SELECT FROM boxledger.events');
  const writer = await store.pool.connect();
  await writer.query('BEGIN; LOCK TABLE boxledger.events IN ROW EXCLUSIVE MODE');
  const before = await partitionsOf(store.databaseUrl);
  const ends = before.at(-1)?.ends ?? 0n;
  await store.pool.query(`SELECT boxledger.add_partition('${ends + 1_000n}')`);
  expect(await partitionsOf(store.databaseUrl)).toHaveLength(before.length + 1);
  for (const client of [reader, writer]) {
    await client.query('ROLLBACK');
    client.release();
  }
});

test('how much the next partition spans follows from what the last full one held', async () => {
  const store = await open();
  const span = async (wanted: number) => {
    const { rows } = await store.pool.query('SELECT boxledger.partition_span($1) AS span', [wanted]);
    return Number(rows[0]?.span);
  };
  expect(await span(1_000_000)).toBe(1_000_000); // nothing is known yet
  await store.pool.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     SELECT 1, now(), 1, 'box/' || n, 'host.left', '{}', 'default', 'user', 'ada', 'c', 'c', sha256('')
     FROM generate_series(1, 1000) n`,
  );
  // As if the first partition had spanned two hundred million transactions, of an epoch that is over.
  await store.pool.query(
    `INSERT INTO boxledger.log_epochs VALUES (1, 1, 1, '');
     DELETE FROM boxledger.partitions WHERE number > 1;
     UPDATE boxledger.partitions SET ends = '200000000'`,
  );
  expect(await span(500)).toBe(100_000_000);
  expect(await span(1_000)).toBe(200_000_000);
  expect(await span(1_000_000)).toBe(268_435_456);
  expect(await span(1)).toBe(12_500_000);
});

test.each([
  'UPDATE boxledger.events_1 SET reason = NULL',
  'DELETE FROM boxledger.events_2',
  'TRUNCATE boxledger.events_1',
])('%s is refused, and the service may not even name a partition', async (change) => {
  const store = await open();
  await settleRoles(store.databaseUrl);
  const login = await createLogin(store.databaseUrl, 'boxledger_service');
  closers.push(login.drop);
  await expect(sql(store.databaseUrl, change)).rejects.toMatchObject({ code: '55000' });
  await expect(sql(login.url, change)).rejects.toMatchObject({ code: '42501' });
  await expect(sql(login.url, 'SELECT FROM boxledger.events_1')).rejects.toMatchObject({ code: '42501' });
  await expect(sql(login.url, "SELECT boxledger.add_partition('9')")).rejects.toMatchObject({
    code: '42501',
  });
  await expect(sql(login.url, "INSERT INTO boxledger.partitions VALUES (9, '8', '9')")).rejects.toMatchObject(
    {
      code: '42501',
    },
  );
});

test('a version that is there is refused in its partition, as the head has gone', async () => {
  const store = await open();
  const box = someBoxId();
  await store.events.append(appendRequest([boxAppend({ box })]));
  await store.pool.query('DELETE FROM boxledger.heads; DELETE FROM boxledger.boxes');
  expect(await store.events.append(appendRequest([boxAppend({ box })]))).toEqual({
    kind: 'version-conflict',
    streamId: boxStream(box),
  });
});

test('migrating again changes nothing about partitions', async () => {
  const store = await open();
  const before = await partitionsOf(store.databaseUrl);
  expect(await migrate(store.databaseUrl)).toEqual([]);
  expect(await partitionsOf(store.databaseUrl)).toEqual(before);
});
