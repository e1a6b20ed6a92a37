import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cursor, LogFilter } from '../../src/commands/event-store.ts';
import { type BoxId, boxStream, defaultTenant, hostStream, tenantId, version } from '../../src/kernel/ids.ts';
import { openStore } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId, someHostId } from '../support/append-request.ts';
import { eventually } from '../support/eventually.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const createBox = async (box: BoxId, side = store.events) => {
  const result = await side.append(appendRequest([boxAppend({ box })]));
  if (result.kind !== 'appended' || result.streams[0] === undefined) throw new Error(result.kind);
  return result.streams[0];
};

/** Reads until nothing more is readable. */
const drain = async (cursor: Cursor, limit = 3) => {
  const streams: string[] = [];
  for (;;) {
    const page = await store.log.readAll(cursor, limit);
    if (page.events.length === 0) return { streams, cursor: page.cursor };
    streams.push(...page.events.map((event) => event.streamId));
    cursor = page.cursor;
  }
};

/** Reads on until `count` events have come: other databases of the server may hold the log back for a moment. */
const readOn = async (cursor: Cursor, count: number) => {
  const streams: string[] = [];
  await eventually(`${count} events`, async () => {
    const page = await drain(cursor);
    streams.push(...page.streams);
    cursor = page.cursor;
    return streams.length >= count;
  });
  return { streams, cursor };
};

test('an empty log ends at its beginning', async () => {
  const empty = await createStore();
  expect(await empty.log.end()).toBe('');
  expect(await empty.log.readAll('', 10)).toEqual({ events: [], cursor: '', atEnd: true });
  await empty.close();
});

test('the log is read in pages from any cursor, each event once', async () => {
  const { cursor } = await drain('');
  const boxes = Array.from({ length: 8 }, someBoxId);
  for (const box of boxes) await createBox(box);
  const all = await readOn(cursor, 8);
  expect(all.streams).toEqual(boxes.map(boxStream));
  expect(await store.log.end()).toBe(all.cursor);
  expect((await store.log.readAll(all.cursor, 10)).cursor).toBe(all.cursor);
});

test('an event that commits late is not skipped', async () => {
  const { cursor } = await drain('');
  const [late, early] = [someBoxId(), someBoxId()];
  const client = await store.pool.connect();
  await client.query('BEGIN');
  await client.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     VALUES (1, now(), 1, $1, 'host.left', '{"epoch": 1}', 'default', 'user', 'ada', 'late', 'late', sha256(''))`,
    [boxStream(late)],
  );
  await createBox(early);
  expect((await drain(cursor)).streams).toEqual([]);

  const woken: string[] = [];
  let place = cursor;
  const stop = store.log.onAppend(() => {
    void store.log.readAll(place, 10).then((page) => {
      if (page.cursor === place) return;
      place = page.cursor;
      woken.push(...page.events.map((event) => event.streamId));
    });
  });
  await store.log.readAll(place, 10);
  await client.query('COMMIT');
  client.release();
  await eventually('readers are woken once nothing holds the log back', () => woken.length === 2);
  stop();
  expect(woken).toEqual([boxStream(late), boxStream(early)]);
});

test('nothing is skipped or repeated while many processes append', async () => {
  const { cursor } = await drain('');
  const rival = await openStore({ databaseUrl: store.databaseUrl, log: silentLog });
  const boxes = Array.from({ length: 120 }, someBoxId);
  const writing = Promise.all(
    boxes.map((box, index) => createBox(box, index % 2 === 0 ? store.events : rival.events)),
  );
  const { streams } = await readOn(cursor, boxes.length);
  await writing;
  await rival.close();
  expect(streams.toSorted()).toEqual(boxes.map(boxStream).toSorted());
});

test('a poller by sequence alone misses an event that commits late; a reader of this log does not', async () => {
  const { cursor } = await drain('');
  const [late, early] = [someBoxId(), someBoxId()];
  const bySequence = async (after: string) => {
    const { rows } = await store.pool.query<{ stream_id: string; position: string }>(
      'SELECT stream_id, position FROM boxledger.events WHERE position > $1 ORDER BY position',
      [after],
    );
    return rows;
  };
  const client = await store.pool.connect();
  await client.query('BEGIN');
  const { rows: last } = await client.query('SELECT max(position) AS position FROM boxledger.events');
  await client.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     VALUES (1, now(), 1, $1, 'host.left', '{"epoch": 1}', 'default', 'user', 'ada', 'late', 'late', sha256(''))`,
    [boxStream(late)],
  );
  await createBox(early);
  const naive = await bySequence(last[0].position);
  const ours = await drain(cursor);
  await client.query('COMMIT');
  client.release();

  const naiveAfterwards = await bySequence(naive.at(-1)?.position ?? '');
  expect([...naive, ...naiveAfterwards].map(({ stream_id }) => stream_id)).toEqual([boxStream(early)]);
  const rest = await readOn(ours.cursor, 2 - ours.streams.length);
  expect([...ours.streams, ...rest.streams]).toEqual([boxStream(late), boxStream(early)]);
});

test('the log is filtered by tenant, stream, category and type', async () => {
  const { cursor } = await drain('');
  const box = someBoxId();
  const host = hostStream(someHostId());
  await createBox(box);
  const tenant = tenantId('filtered');
  await store.events.append(appendRequest([boxAppend({ tenant })], { tenant }));
  const left = { type: 'host.left', data: { epoch: 1 } } as const;
  await store.events.append(
    appendRequest([{ ...boxAppend(), streamId: host, events: [left], row: null }], { tenant }),
  );
  await readOn(cursor, 3);
  const read = async (filter: LogFilter) =>
    (await store.log.readAll(cursor, 10, filter)).events.map(({ type, tenant: of }) => `${of} ${type}`);
  expect(await read({ tenant })).toEqual(['filtered box.created', 'filtered host.left']);
  expect(await read({ tenant: defaultTenant, streamId: boxStream(box) })).toEqual(['default box.created']);
  expect(await read({ tenant, streamId: boxStream(box) })).toEqual([]);
  expect(await read({ categories: ['box'] })).toEqual(['default box.created', 'filtered box.created']);
  expect(await read({ categories: ['box'], tenant })).toEqual(['filtered box.created']);
  expect(await read({ categories: ['exec', 'host'] })).toEqual(['filtered host.left']);
  expect(await read({ categories: ['bo', 'box/'] })).toEqual([]);
  expect(await read({ types: ['box.created', 'host.left'], tenant })).toHaveLength(2);
  expect(await read({ types: ['box.exited'] })).toEqual([]);
  expect(await read({ types: [], categories: [] })).toHaveLength(3);
});

test('a filter that nothing fits moves the cursor on, past no event that may still come', async () => {
  const { cursor } = await drain('');
  await createBox(someBoxId());
  await readOn(cursor, 1);
  const nobody = { tenant: tenantId('nobody') };
  const { cursor: moved } = await store.log.readAll(cursor, 10, nobody);
  expect(moved).not.toBe(cursor);
  expect((await store.log.readAll(moved, 10)).events).toEqual([]);
  const box = someBoxId();
  await createBox(box);
  expect((await readOn(moved, 1)).streams).toEqual([boxStream(box)]);
  const ahead = `${2n ** 62n}.0`;
  expect((await store.log.readAll(ahead, 10, nobody)).cursor).toBe(ahead);
});

test('one look for what hardly anything fits is at a bounded number of events, and says how far it came', async () => {
  const long = await createStore();
  await long.pool.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     SELECT 1, now(), 1, 'host/hs_' || lpad(n::text, 16, '0'), 'host.left', '{"epoch": 1}', 'default', 'user', 'ada', 'c', 'c',
       sha256('') FROM generate_series(1, 25000) n`,
  );
  const box = someBoxId();
  await long.events.append(appendRequest([boxAppend({ box })]));
  const filter = { types: ['box.created'] };
  const found = await eventually('all of it can be read', async () => {
    const looks = [];
    for (let cursor = ''; ; ) {
      const page = await long.log.readAll(cursor, 100, filter);
      looks.push(page.events.map(({ streamId }) => streamId));
      if (page.atEnd) return looks.flat().length > 0 ? looks : undefined;
      expect(long.log.isAfter(page.cursor, cursor)).toBe(true);
      cursor = page.cursor;
    }
  });
  expect(found).toEqual([[], [], [boxStream(box)]]);
  const ofStream = await long.log.readAll('', 100, { streamId: boxStream(box), ...filter });
  expect(ofStream).toMatchObject({ events: [{ streamId: boxStream(box) }], atEnd: true });
  await long.close();
});

test('what fits before the end of a look comes a page at a time', async () => {
  const { cursor } = await drain('');
  const boxes = [someBoxId(), someBoxId(), someBoxId()];
  for (const box of boxes) await createBox(box);
  await readOn(cursor, 3);
  const first = await store.log.readAll(cursor, 2, { types: ['box.created'] });
  expect([first.events.map(({ streamId }) => streamId), first.atEnd]).toEqual([
    boxes.slice(0, 2).map(boxStream),
    false,
  ]);
  const rest = await store.log.readAll(first.cursor, 2, { types: ['box.created'] });
  expect([rest.events.map(({ streamId }) => streamId), rest.atEnd]).toEqual([
    boxes.slice(2).map(boxStream),
    true,
  ]);
  expect((await store.log.readAll(rest.cursor, 2)).events).toEqual([]);
});

test('a stream is read from any version', async () => {
  const box = someBoxId();
  await store.events.append(
    appendRequest([boxAppend({ box, after: await createBox(box), events: [removed, removed] })]),
  );
  const read = async (after: number, limit: number) =>
    (await store.log.readStream(boxStream(box), version(after), limit)).map((event) => event.version);
  expect(await read(0, 10)).toEqual([1n, 2n, 3n]);
  expect(await read(1, 1)).toEqual([2n]);
  expect(await read(3, 10)).toEqual([]);
});
const removed = { type: 'box.removed', data: { diskAbandoned: false } } as const;

test('a cursor that is none is refused', async () => {
  await expect(store.log.readAll('yesterday', 1)).rejects.toMatchObject({ code: 'InvalidArgument' });
});

test('an append wakes readers of this process at once, and those of others', async () => {
  const other = await openStore({ databaseUrl: store.databaseUrl, log: silentLog });
  let [mine, theirs] = [0, 0];
  const stopMine = store.log.onAppend(() => {
    mine += 1;
  });
  other.log.onAppend(() => {
    theirs += 1;
  });
  await eventually('the other process listens', () => theirs > 0);
  const before = { mine, theirs };
  await createBox(someBoxId());
  expect(mine).toBeGreaterThan(before.mine);
  await eventually('the other process is woken', () => theirs > before.theirs);
  stopMine();
  await other.close();
});

test('a process that lost its listening connection is woken again', async () => {
  const other = await openStore({ databaseUrl: store.databaseUrl, log: silentLog });
  let woken = 0;
  other.log.onAppend(() => {
    woken += 1;
  });
  await eventually('it listens', () => woken > 0);
  await store.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
  );
  const before = woken;
  await eventually('it listens again', () => woken > before);
  const again = woken;
  await createBox(someBoxId());
  await eventually('it is woken again', () => woken > again);
  await other.close();
});
