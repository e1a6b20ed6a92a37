import { afterEach, describe, expect, test } from 'vitest';
import type { Cursor } from '../../src/commands/event-store.ts';
import { boxStream } from '../../src/kernel/ids.ts';
import { migrate } from '../../src/store/migrate.ts';
import { settleRoles } from '../../src/store/roles.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId } from '../support/append-request.ts';
import { createDatabase } from '../support/database.ts';
import { dumpAndRestore, pgDumpMissing, startDebianPostgres } from '../support/debian-postgres.ts';
import { eventually } from '../support/eventually.ts';
import { createLogin, sql } from '../support/roles.ts';
import { silentLog } from '../support/store.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const database = async () => {
  const made = await createDatabase();
  closers.push(made.drop);
  return made.url;
};

const open = async (databaseUrl: string): Promise<Store> => {
  await migrate(databaseUrl);
  const store = await openStore({ databaseUrl, log: silentLog });
  closers.push(() => store.close());
  return store;
};

const createBoxes = async (store: Store, count: number): Promise<string[]> => {
  const boxes = Array.from({ length: count }, someBoxId);
  for (const box of boxes) await store.events.append(appendRequest([boxAppend({ box })]));
  return boxes.map(boxStream);
};

/** Streams of all events after the cursor, in order, once there are `count`. */
const read = (store: Store, cursor: Cursor, count: number) =>
  eventually(`${count} events`, async () => {
    const page = await store.log.readAll(cursor, 1_000);
    return page.events.length >= count ? page.events : undefined;
  });
const streamsOf = (events: Awaited<ReturnType<typeof read>>) => events.map(({ streamId }) => streamId);

/** The log of a server that has seen many more transactions than the one that it is taken to. */
const moved = async (fromUrl: string, toUrl: string) => {
  const exported = await sql(
    fromUrl,
    'SELECT to_jsonb(e) AS event FROM boxledger.events e ORDER BY position',
  );
  await migrate(toUrl);
  await sql(toUrl, "SELECT boxledger.add_partition('2000000000')");
  const literal = JSON.stringify(exported.map(({ event }) => event)).replaceAll("'", "''");
  await sql(
    toUrl,
    `INSERT INTO boxledger.events OVERRIDING SYSTEM VALUE
     SELECT * FROM jsonb_populate_recordset(NULL::boxledger.events, (
       SELECT jsonb_agg(e || jsonb_build_object('transaction_id',
         ((e ->> 'transaction_id')::bigint + 1000000000)::text)) FROM jsonb_array_elements('${literal}') e));
     SELECT setval('boxledger.events_position_seq', (SELECT max(position) FROM boxledger.events));
     UPDATE boxledger.log_epochs SET system_identifier = 1`,
  );
};

const aheadOf = (cursor: Cursor): Cursor => {
  const [transactionId = '', position] = cursor.split('.');
  return `${BigInt(transactionId) + 1_000_000_000n}.${position}`;
};

test('a log that moved to a server with fewer transactions is read on, by the cursors that readers had', async () => {
  const [oldHome, newHome] = [await database(), await database()];
  const before = await open(oldHome);
  const boxes = await createBoxes(before, 6);
  const cursors = (await read(before, '', 6)).map(({ cursor }) => aheadOf(cursor));
  await moved(oldHome, newHome);

  const after = await open(newHome);
  const more = await createBoxes(after, 3);
  const all = [...boxes, ...more];
  expect(streamsOf(await read(after, '', 9))).toEqual(all);
  for (const [index, cursor] of cursors.entries())
    expect(streamsOf(await read(after, cursor, 9 - index - 1))).toEqual(all.slice(index + 1));
  const [last] = (await read(after, '', 9)).slice(-1);
  expect(await after.log.end()).toBe(last?.cursor);
});

test('an epoch begins when the log has moved, once, and not otherwise', async () => {
  const url = await database();
  await migrate(url);
  const epochs = async () => (await sql(url, 'SELECT FROM boxledger.log_epochs')).length;
  await migrate(url);
  expect(await epochs()).toBe(1);
  await sql(url, 'UPDATE boxledger.log_epochs SET system_identifier = 1');
  await Promise.all([migrate(url), migrate(url), migrate(url)]);
  expect(await epochs()).toBe(2);
  await sql(url, "UPDATE boxledger.log_epochs SET timeline = '00000000' WHERE number = 1");
  await migrate(url);
  expect(await epochs()).toBe(3);
});

test('an epoch begins also under the service, which has no right to change a table', async () => {
  const url = await database();
  await migrate(url);
  await settleRoles(url);
  await sql(url, 'UPDATE boxledger.log_epochs SET database_oid = 1');
  const login = await createLogin(url, 'boxledger_service');
  closers.push(login.drop);
  const store = await open(login.url);
  const boxes = await createBoxes(store, 2);
  expect(streamsOf(await read(store, '', 2))).toEqual(boxes);
  expect(await sql(url, 'SELECT number FROM boxledger.log_epochs')).toHaveLength(2);
});

test('a reader that was ahead of a standby that took over gets what that one appends', async () => {
  const url = await database();
  const store = await open(url);
  await createBoxes(store, 2);
  const [, second] = await read(store, '', 2);
  const ahead = aheadOf(second?.cursor ?? '');
  await sql(url, "UPDATE boxledger.log_epochs SET timeline = '00000000'");
  await migrate(url);
  expect(streamsOf(await read(store, ahead, 0))).toEqual([]);
  const more = await createBoxes(store, 2);
  expect(streamsOf(await read(store, ahead, 2))).toEqual(more);
});

test('an epoch that cannot begin while somebody reads the log for long holds up nobody else, and begins after that', async () => {
  const home = await database();
  const store = await open(home);
  await createBoxes(store, 1);
  await sql(home, 'UPDATE boxledger.log_epochs SET system_identifier = 1');
  const audit = await store.pool.connect();
  await audit.query('BEGIN');
  await audit.query('SELECT FROM boxledger.events LIMIT 1');
  await expect(store.keepLog()).rejects.toMatchObject({ code: 'InvalidState' });
  const migrated = migrate(home);
  await eventually('the new epoch waits for the reader', async () => {
    const waiting = await sql(
      home,
      "SELECT FROM pg_locks WHERE relation = 'boxledger.events'::regclass AND NOT granted AND mode = 'AccessExclusiveLock'",
    );
    return waiting.length > 0;
  });
  await createBoxes(store, 3);
  expect(await sql(home, 'SELECT max(number) FROM boxledger.log_epochs')).toEqual([{ max: 0 }]);
  await audit.query('COMMIT');
  audit.release();
  await migrated;
  expect(await sql(home, 'SELECT max(number) FROM boxledger.log_epochs')).toEqual([{ max: 1 }]);
});

test('appends that are under way when an epoch begins are neither lost nor read out of order', async () => {
  const url = await database();
  const store = await open(url);
  const writing = Promise.all(Array.from({ length: 60 }, () => createBoxes(store, 1)));
  await sql(url, 'UPDATE boxledger.log_epochs SET system_identifier = 1');
  const streams: string[] = [];
  let cursor: Cursor = '';
  const readSome = async () => {
    const page = await store.log.readAll(cursor, 7);
    streams.push(...page.events.map(({ streamId }) => streamId));
    cursor = page.cursor;
    return streams.length === 60;
  };
  await Promise.all([migrate(url), eventually('all are read', readSome)]);
  expect(streams.toSorted()).toEqual((await writing).flat().toSorted());
});

describe.skipIf(pgDumpMissing !== undefined)(
  `dumped and restored in a fresh server${pgDumpMissing ? ` (${pgDumpMissing})` : ''}`,
  () => {
    test('every reader goes on where it was, and nothing is skipped or repeated', async () => {
      const [first, second] = [await startDebianPostgres(), await startDebianPostgres()];
      closers.push(first.stop, second.stop);
      await sql(
        first.url,
        'DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$',
      );
      const before = await open(first.url);
      const boxes = await createBoxes(before, 10);
      const cursors = (await read(before, '', 10)).map(({ cursor }) => cursor);
      await dumpAndRestore(first.url, second.url);

      const after = await open(second.url);
      const more = await createBoxes(after, 5);
      const all = [...boxes, ...more];
      expect(streamsOf(await read(after, '', 15))).toEqual(all);
      for (const [index, cursor] of cursors.entries())
        expect(streamsOf(await read(after, cursor, 14 - index))).toEqual(all.slice(index + 1));
    });
  },
);
