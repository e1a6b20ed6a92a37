import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import { openRegistry } from '../../src/main/metrics-registry.ts';
import { lookUp, type ScrapeSources } from '../../src/main/metrics-scrape.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { openStore } from '../../src/store/store.ts';
import { createPlane, type Plane } from '../support/plane.ts';
import { silentLog } from '../support/store.ts';

let plane: Plane;
beforeAll(async () => {
  plane = await createPlane();
  plane.dispatching = false;
});
afterAll(() => plane.close());

const scraped = (change: Partial<ScrapeSources> = {}) => {
  const metrics = openRegistry();
  const failures: string[] = [];
  const sources: ScrapeSources = {
    store: plane.store,
    sinks: ['file:/there'],
    clock: systemClock,
    since: systemClock.now(),
    limitMs: 5_000,
    onError: (_, source) => failures.push(source),
    ...change,
  };
  const look = async () => {
    await lookUp(metrics, sources);
    const lines = (await metrics.registry.metrics()).split('\n');
    return (series: string) => {
      const line = lines.find((one) => one.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    };
  };
  return { look, failures };
};

const createBox = () => {
  const boxId = randomIds.boxId();
  return plane.submit({ type: 'box.create', boxId, name: boxId, options: boxOptionsSchema.parse({}) });
};

test('what is looked up is what is so now, and what was so before is gone', async () => {
  const { look } = scraped();
  const { boxId } = await createBox();
  const before = await look();
  expect(before('boxledger_boxes{state="configured"}')).toBe(1);
  expect(before('boxledger_open_effects{kind="vm.boot",state="pending"}')).toBeUndefined();
  expect(before('boxledger_checkpoint_number')).toBe(0);
  expect(before('boxledger_checkpoint_unsigned_events')).toBeGreaterThan(0);
  await plane.submit({ type: 'box.start', boxId, placement: { hostId: randomIds.hostId(), epoch: 1 } });
  const after = await look();
  expect(after('boxledger_boxes{state="configured"}')).toBeUndefined();
  expect(after('boxledger_boxes{state="starting"}')).toBe(1);
  expect(after('boxledger_open_effects{kind="vm.boot",state="pending"}')).toBe(1);
  expect(after('boxledger_open_effects_waiting_seconds{kind="vm.boot"}')).toBeGreaterThanOrEqual(0);
});

test('a sink that fails shows how long, and how far behind it is', async () => {
  const { store } = plane;
  await store.pool.query(
    `INSERT INTO boxledger.checkpoint_sinks (sink, failing_since, last_error)
     VALUES ('file:/there', now() - interval '1 hour', 'full'), ('file:/past', now() - interval '1 year', 'gone')`,
  );
  const seen = await scraped().look();
  expect(seen('boxledger_checkpoint_sink_failing_seconds{sink="file:/there"}')).toBeGreaterThan(3_599);
  expect(seen('boxledger_checkpoint_sink_behind{sink="file:/there"}')).toBe(0);
  expect(seen('boxledger_checkpoint_sink_failing_seconds{sink="file:/past"}')).toBeUndefined();
});

test('a transaction that holds readers back shows as lag, and no more when it has ended', async () => {
  const holder = new pg.Client(plane.store.databaseUrl);
  await holder.connect();
  await holder.query('BEGIN; SELECT pg_current_xact_id()');
  await createBox();
  const { look } = scraped();
  const held = await look();
  expect(held('boxledger_log_lag_seconds')).toBeGreaterThan(0);
  expect(held('boxledger_log_blocker_age_seconds')).toBeGreaterThan(0);
  await holder.query('ROLLBACK');
  await holder.end();
  await expect.poll(async () => (await look())('boxledger_log_lag_seconds')).toBe(0);
});

test('a database that is away leaves out what it would have said, and counts that', async () => {
  const store = await openStore({ databaseUrl: plane.store.databaseUrl, log: silentLog });
  const { look, failures } = scraped({ store });
  expect((await look())('boxledger_log_lag_seconds')).toBeDefined();
  await store.close();
  const seen = await look();
  for (const gone of [
    'boxledger_log_lag_seconds',
    'boxledger_checkpoint_number',
    'boxledger_boxes{state="starting"}',
  ])
    expect(seen(gone)).toBeUndefined();
  for (const source of ['boxes', 'effects', 'log', 'checkpoints'])
    expect(seen(`boxledger_scrape_failures_total{source="${source}"}`)).toBe(1);
  expect(failures.sort()).toEqual(['boxes', 'checkpoints', 'effects', 'log']);
});

test('a look-up that does not come to an end is not waited for', async () => {
  const log = { ...plane.store.log, lag: () => new Promise<never>(() => undefined) };
  const { look, failures } = scraped({ limitMs: 50, store: { ...plane.store, log } });
  const seen = await look();
  expect(failures).toContain('log');
  expect(seen('boxledger_scrape_failures_total{source="log"}')).toBe(1);
});
