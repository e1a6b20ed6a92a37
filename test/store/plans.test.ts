import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareAppend } from '../../src/store/append-request.ts';
import { packAppends } from '../../src/store/append-rows.ts';
import { appendRequest, boxAppend, someBoxId, someHostId, someIntent } from '../support/append-request.ts';
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
