import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareAppend } from '../../src/store/append-request.ts';
import { packAppends } from '../../src/store/append-rows.ts';
import { appendRequest, boxAppend, someBoxId, someHostId, someIntent } from '../support/append-request.ts';
import { cutPartition } from '../support/partitions.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
  await store.pool.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     SELECT 1, now(), 1, 'box/' || n, 'host.left', '{}', 'default', 'user', 'ada', 'c', 'c', sha256('')
     FROM generate_series(1, 20000) n`,
  );
  await store.pool.query('ANALYZE boxledger.events');
});
afterAll(() => store.close());

const directory = new URL('../../src/store/sql/', import.meta.url);
const textOf = (file: string) => readFileSync(new URL(file, directory), 'utf8').replace(/^--.*$/gm, '');

test.each([
  ['read-all-of-stream.sql', "'0', 0, 100, 'box/7', 'default', NULL, NULL", 'events_1_stream_version'],
  ['read-all.sql', "'0', 19000, 100, 100, NULL, NULL, NULL"],
  ['read-all.sql', "'0', 19000, 100, 10000, 'default', '{box}', NULL"],
  ['read-end.sql', ''],
  ['log-lag.sql', ''],
])('%s (%s) reads by an index, however long the log', async (file, values, index = 'events_1_order') => {
  const client = await store.pool.connect();
  try {
    await client.query('SET plan_cache_mode = force_generic_plan');
    await client.query(`PREPARE plan AS ${textOf(file)}`);
    const { rows } = await client.query(`EXPLAIN EXECUTE plan ${values && `(${values})`}`);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(new RegExp(`Index (Only )?Scan (Backward )?using ${index}`));
    expect(plan).not.toContain('Seq Scan on events_1 '); // the other partitions are empty
    if (index === 'events_1_order') expect(plan).not.toContain('Merge Append');
    await client.query('DEALLOCATE plan');
  } finally {
    client.release(true);
  }
});

const planOf = async (file: string): Promise<string> => {
  const text = textOf(file).replace('$1', "'box/77'").replace('$2', "'host.left'");
  const { rows } = await store.pool.query(`EXPLAIN ${text}`);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
};

test('the last event of a type is found from the end of its stream, however long the log', async () => {
  expect(await planOf('last-of-type.sql')).toContain('Backward using events_1_stream_version');
});

test('what is looked up for a scrape is looked for among what is open or live, however much there was before', async () => {
  await store.pool.query(
    `INSERT INTO boxledger.effects (effect_id, tenant, box_id, generation, kind, host_id, epoch, args, created_at, deadline,
       due_at, correlation_id, state)
     SELECT 'e' || n, 'default', 'b', 1, 'vm.boot', 'h', 1, '{}', now(), now(), now(), 'c', 'settled'
     FROM generate_series(1, 20000) n`,
  );
  await store.pool.query(
    `INSERT INTO boxledger.boxes (box_id, tenant, name, state, labels, version, created_at, updated_at, view)
     SELECT 'b' || n, 'box/77', 'n' || n, 'removed', '{}', 1, now(), now(), '{}' FROM generate_series(1, 20000) n`,
  );
  await store.pool.query('ANALYZE boxledger.effects, boxledger.boxes');
  expect(await planOf('open-effects.sql')).not.toContain('Seq Scan on effects');
  expect(await planOf('count-boxes.sql')).not.toContain('Seq Scan on boxes');
});

describe('over partitions that are all full', () => {
  let many: TestStore;
  beforeAll(async () => {
    many = await createStore();
    for (let partition = 0; partition < 4; partition += 1) {
      await many.pool.query(
        `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
           actor_id, command_id, correlation_id, hash)
         SELECT ${partition + 1}, now(), 1, 'box/' || n, 'host.left', '{}', 'default', 'user', 'ada', 'c' || n, 'c' || n,
           sha256('') FROM generate_series(1, 5000) n`,
      );
      await cutPartition(many.databaseUrl);
    }
    // The empty ones after them are never analyzed: what is known of them is that they may be of any size.
    await many.pool.query(
      'ANALYZE boxledger.events_1, boxledger.events_2, boxledger.events_3, boxledger.events_4',
    );
  });
  afterAll(() => many.close());

  const planOver = async (file: string, values: string) => {
    const client = await many.pool.connect();
    try {
      await client.query('SET plan_cache_mode = force_generic_plan');
      await client.query(`PREPARE plan AS ${textOf(file)}`);
      const { rows } = await client.query(
        `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE plan (${values})`,
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    } finally {
      client.release(true);
    }
  };

  test.each([
    ['read-stream.sql', "'box/7', 0, 100", /Merge Append/],
    ['read-by-stream.sql', "'box/7', 0, 100", /Merge Append/],
    ['read-correlated.sql', "'default', 'c7', 100", /_correlation/],
    ['audit-stream.sql', "'box/7', 0, 100", /Merge Append/],
  ])('%s uses the index of each', async (file, values, by) => {
    const plan = await planOver(file, values);
    expect(plan).toMatch(by);
    expect(plan).not.toMatch(/Seq Scan on events/);
  });

  test.each([
    ['read-all.sql', (last: string) => `'${last}', 0, 100, 100, NULL, NULL, NULL`],
    ['audit-between.sql', (last: string) => `'${last}', 0, '${last}', 1000000, 100`],
    ['leaves-after.sql', (last: string) => `'${last}', 0, 100, NULL`],
  ])('%s passes over those before its place', async (file, values) => {
    const { rows } = await many.pool.query(
      'SELECT transaction_id AS last FROM boxledger.events ORDER BY transaction_id DESC LIMIT 1',
    );
    const plan = await planOver(file, values(rows[0]?.last));
    expect(plan).toMatch(/Subplans Removed: [3-5]/);
    expect(plan).not.toMatch(/Seq Scan on events|Merge Append/);
  });
});

test('an append reads no table from end to end, however large', async () => {
  await store.pool.query(
    `INSERT INTO boxledger.heads (stream_id, tenant, version, hash, fingerprint, snapshot)
     SELECT 'host/' || n, 'default', 1, sha256(''), 'f', '{}' FROM generate_series(1, 20000) n`,
  );
  await store.pool.query('ANALYZE boxledger.heads');
  const [box, intent] = [someBoxId(), someIntent(someBoxId(), someHostId(), {})];
  const first = await store.events.append(appendRequest([boxAppend({ box, effects: [intent] })]));
  const after = first.kind === 'appended' ? first.streams[0] : undefined;
  if (after === undefined) throw new Error(first.kind);
  const next = boxAppend({ box, after, cancels: [intent.effectId] });
  const client = await store.pool.connect();
  try {
    await client.query('BEGIN');
    await client.query(textOf('append-together.sql'), [
      ...packAppends([prepareAppend(appendRequest([next]))]),
    ]);
    const { rows } = await client.query(
      "SELECT relname FROM pg_stat_xact_user_tables WHERE relname IN ('heads', 'effects') AND seq_scan > 0",
    );
    expect(rows).toEqual([]);
  } finally {
    client.release(true);
  }
});

test('loading a box is one read by its key, however many heads there are and however long its stream', async () => {
  await store.pool.query(
    `INSERT INTO boxledger.heads (stream_id, tenant, version, hash, fingerprint, snapshot)
     SELECT 'exec/' || n, 'default', 100000, sha256(''), 'f', '{}' FROM generate_series(1, 20000) n`,
  );
  await store.pool.query('ANALYZE boxledger.heads');
  const client = await store.pool.connect();
  try {
    await client.query('SET plan_cache_mode = force_generic_plan');
    await client.query(`PREPARE load AS ${textOf('load-head.sql')}`);
    const { rows } = await client.query("EXPLAIN (FORMAT JSON) EXECUTE load ('exec/1')");
    const [{ Plan: plan }] = rows[0]['QUERY PLAN'];
    expect(plan).toMatchObject({ 'Node Type': 'Index Scan', 'Index Name': 'heads_pkey' });
    expect(plan).not.toHaveProperty('Plans');
  } finally {
    client.release(true);
  }
});

test('what is readable is decided by the horizon of the log alone, which knows of epochs', () => {
  const naive = readdirSync(directory).filter((file) =>
    /transaction_id.*pg_snapshot_xmin/.test(textOf(file)),
  );
  expect(naive).toEqual([]);
});
