import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Consumer, type ConsumerOptions } from '../../src/commands/consumer.ts';
import type { EventLog } from '../../src/commands/event-store.ts';
import { boxStream, tenantId } from '../../src/kernel/ids.ts';
import { appendRequest, boxAppend, someBoxId } from '../support/append-request.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const running: Consumer[] = [];
afterEach(async () => {
  for (const consumer of running.splice(0)) await consumer.stop();
});

const createBoxes = async (count: number) => {
  const boxes = Array.from({ length: count }, someBoxId);
  for (const box of boxes) await store.events.append(appendRequest([boxAppend({ box })]));
  return boxes.map(boxStream);
};

let names = 0;
/** A consumer that writes down what it got, and stands at the end of what there is now. */
const consumer = async (options: Partial<ConsumerOptions> = {}, log: EventLog = store.log) => {
  names += 1;
  const name = options.name ?? `consumer-${names}`;
  const known = (await store.consumers.list()).some((record) => record.name === name);
  if (!known) await store.consumers.restart(name, await store.log.end());
  const got: string[] = [];
  const errors: unknown[] = [];
  const made = new Consumer(log, store.consumers, {
    name,
    holder: 'test',
    pollIntervalMs: 50,
    retryDelayMaxMs: 100,
    handle: async (events) => void got.push(...events.map(({ streamId }) => streamId)),
    onError: (error) => errors.push(error),
    ...options,
  });
  running.push(made);
  const has = (count: number) => eventually(`${count} events`, () => got.length >= count);
  const record = async () => (await store.consumers.list()).find((one) => one.name === name);
  return { name, consumer: made, got, errors, has, record };
};

test('a new consumer begins with the first event of the log', async () => {
  const [first] = await createBoxes(1);
  const got: string[] = [];
  const made = new Consumer(store.log, store.consumers, {
    name: 'new',
    holder: 'test',
    handle: async (events) => void got.push(...events.map(({ streamId }) => streamId)),
    onError: () => undefined,
  });
  running.push(made);
  made.start();
  await eventually('the first event', () => got.length > 0);
  expect(got).toContain(first);
});

test('a consumer is given what was there and then what comes, each once and in order', async () => {
  const one = await consumer({ batchSize: 3 });
  const old = await createBoxes(7);
  one.consumer.start();
  await one.has(7);
  const live = await createBoxes(5);
  await one.has(12);
  expect(one.got).toEqual([...old, ...live]);
});

test('a consumer that was stopped goes on where it was', async () => {
  const one = await consumer();
  one.consumer.start();
  const before = await createBoxes(3);
  await one.has(3);
  await one.consumer.stop();
  expect(await one.record()).toMatchObject({ holder: null });
  const meanwhile = await createBoxes(2);
  const again = await consumer({ name: one.name });
  again.consumer.start();
  await again.has(2);
  one.consumer.start();
  await again.consumer.stop();
  expect([one.got, again.got]).toEqual([before, meanwhile]);
});

test('a batch whose handler throws comes again, and nothing overtakes it', async () => {
  let failures = 3;
  const got: string[] = [];
  const one = await consumer({
    batchSize: 2,
    handle: async (events) => {
      if (failures > 0) {
        failures -= 1;
        throw new Error('not yet');
      }
      got.push(...events.map(({ streamId }) => streamId));
    },
  });
  const boxes = await createBoxes(4);
  one.consumer.start();
  await eventually('all', () => got.length >= 4);
  expect(got).toEqual(boxes);
  expect(one.errors).toHaveLength(3);
});

test('to stop lets the batch in hand be dealt with and keeps its cursor', async () => {
  const [begun, finish] = [gate(), gate()];
  const one = await consumer({
    handle: async () => {
      begun.open();
      await finish.passed;
    },
  });
  await createBoxes(1);
  one.consumer.start();
  await begun.passed;
  const stopped = one.consumer.stop();
  finish.open();
  await stopped;
  expect(await one.record()).toEqual({ name: one.name, cursor: await store.log.end(), holder: null });
});

test('nothing is read ahead of a handler that is slow', async () => {
  let pages = 0;
  const [begun, finish] = [gate(), gate()];
  const counted: EventLog = {
    readStream: (...args) => store.log.readStream(...args),
    isAfter: (...args) => store.log.isAfter(...args),
    end: () => store.log.end(),
    onAppend: (wake) => store.log.onAppend(wake),
    readAll: (...args) => {
      pages += 1;
      return store.log.readAll(...args);
    },
  };
  const got: number[] = [];
  const one = await consumer(
    {
      batchSize: 2,
      leaseMs: 900,
      handle: async (events) => {
        got.push(events.length);
        begun.open();
        await finish.passed;
      },
    },
    counted,
  );
  await createBoxes(6);
  one.consumer.start();
  await begun.passed;
  await createBoxes(1);
  const kept = await one.record();
  await eventually('the lease is renewed meanwhile', async () => {
    const rows = await store.pool.query(
      "SELECT FROM boxledger.consumers WHERE name = $1 AND lease_until > created_at + interval '1100 ms'",
      [one.name],
    );
    return rows.rowCount === 1;
  });
  expect(pages).toBe(1);
  expect(await one.record()).toMatchObject({ cursor: kept?.cursor });
  finish.open();
  await eventually('the rest', () => got.reduce((sum, count) => sum + count, 0) === 7);
  expect(got).toEqual([2, 2, 2, 1]);
});

test('a consumer is sent to any place in the log while it runs', async () => {
  const one = await consumer();
  one.consumer.start();
  const start = (await one.record())?.cursor ?? '';
  const boxes = await createBoxes(3);
  await one.has(3);
  await store.consumers.restart(one.name, start);
  await one.has(6);
  expect(one.got).toEqual([...boxes, ...boxes]);
});

test('a consumer is sent only to what is a cursor', async () => {
  await expect(store.consumers.restart('any', 'yesterday')).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
});

test('a handler is told when others may have its consumer, and what it did is not kept', async () => {
  const [begun, told] = [gate(), gate()];
  const one = await consumer({
    leaseMs: 1_500,
    handle: async (_, signal) => {
      begun.open();
      if (!signal.aborted)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      told.open();
    },
  });
  await createBoxes(1);
  const end = await eventually('the log ends', async () => (await store.log.end()) || undefined);
  one.consumer.start();
  await begun.passed;
  await store.consumers.restart(one.name, end);
  await told.passed;
  await one.consumer.stop();
  expect((await one.record())?.cursor).toBe(end);
});

test('a consumer whose lease cannot be renewed is let go of when it ends, however long the database is silent', async () => {
  const [begun, told] = [gate(), gate()];
  const leaseMs = 1_500;
  const one = await consumer({
    leaseMs,
    handle: async (_, signal) => {
      begun.open();
      if (!signal.aborted)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      told.open();
    },
  });
  await createBoxes(1);
  const silence = await store.pool.connect();
  one.consumer.start();
  await begun.passed;
  await silence.query('BEGIN');
  await silence.query('SELECT FROM boxledger.consumers WHERE name = $1 FOR UPDATE', [one.name]);
  const silentFrom = performance.now();
  await told.passed;
  expect(performance.now() - silentFrom).toBeLessThan(leaseMs + 1_000);
  await silence.query('ROLLBACK');
  silence.release();
});

test('a consumer with a filter gets what fits, and does not look at the rest twice', async () => {
  const tenant = tenantId('filtered-consumer');
  const box = someBoxId();
  const one = await consumer({ filter: { tenant, categories: ['box'], types: ['box.created'] } });
  const start = (await one.record())?.cursor ?? '';
  await createBoxes(5);
  one.consumer.start();
  await eventually('it has looked', async () => {
    await one.consumer.stop();
    one.consumer.start();
    return (await one.record())?.cursor !== start;
  });
  await store.events.append(appendRequest([boxAppend({ box, tenant })], { tenant }));
  await one.has(1);
  expect(one.got).toEqual([boxStream(box)]);
});
