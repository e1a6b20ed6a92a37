import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventLog } from '../../src/commands/event-store.ts';
import { LogFeed } from '../../src/commands/log-feed.ts';
import { LogTail } from '../../src/commands/log-tail.ts';
import { CreateRequest, RemoveRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { type BoxId, boxId, boxStream, noVersion } from '../../src/kernel/ids.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { call } from '../api/api-under-test.ts';
import { type HandMade, handMade } from '../api/hand-made-host.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { silentLog } from '../support/store.ts';

let plane: HandMade;
beforeAll(async () => {
  plane = await handMade();
});
afterAll(() => plane.close());

const create = (name: string) =>
  call(plane.api.boxes, plane.api.boxes.create, { ...CreateRequest.decode(new Uint8Array()), name });

test('a reader that is ahead of the tail is given nothing twice', async () => {
  const { log } = plane.store;
  const held = gate();
  const slow: EventLog = {
    readStream: (...args) => log.readStream(...args),
    isAfter: (...args) => log.isAfter(...args),
    end: () => log.end(),
    onAppend: (wake) => log.onAppend(wake),
    readAll: async (...args) => {
      await held.passed;
      return log.readAll(...args);
    },
  };
  const tail = new LogTail(slow, { pollIntervalMs: 50, keep: 100, onError: () => undefined });
  await tail.start();
  await create('first');
  await eventually('the first box can be read', async () => (await log.readAll('', 1)).events.length === 1);

  const end = new AbortController();
  const items = new LogFeed(log, tail).follow({ from: '', signal: end.signal });
  const next = async () => {
    const { value } = await items.next();
    return value?.kind === 'event' && 'name' in value.event.data ? value.event.data.name : value?.kind;
  };
  expect(await next()).toBe('first');
  const then = next();
  held.open();
  expect(await then).toBe('caught-up');
  await create('second');
  expect(await next()).toBe('second');
  end.abort();
  expect(await next()).toBeUndefined();
  tail.stop();
});

test('a reader that falls behind the tail looks at nothing twice, whether it fitted or not', async () => {
  const { log } = plane.store;
  const from: string[] = [];
  const noted: EventLog = {
    readStream: (...args) => log.readStream(...args),
    isAfter: (...args) => log.isAfter(...args),
    end: () => log.end(),
    onAppend: (wake) => log.onAppend(wake),
    readAll: (cursor, ...args) => {
      from.push(cursor);
      return log.readAll(cursor, ...args);
    },
  };
  const tail = new LogTail(log, { pollIntervalMs: 20, keep: 1, onError: () => undefined });
  const end = new AbortController();
  const filter = { types: ['box.removed'] };
  const items = new LogFeed(noted, tail).follow({ from: '', filter, signal: end.signal });
  expect((await items.next()).value?.kind).toBe('caught-up');
  const next = items.next();
  await eventually('it fell behind, again and again', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => create(`behind-${name}-${from.length}-${Date.now()}`)));
    return from.length > 4;
  });
  expect(from.some((cursor, index) => log.isAfter(from[index - 1] ?? '', cursor))).toBe(false);
  expect(log.isAfter(from.at(-1) ?? '', from[1] ?? '')).toBe(true);
  end.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  tail.stop();
});

/** Waits for the box's second event in the log of `store`; `looked` passes once it was looked for in vain. */
const awaitSecond = (store: Store, tail: LogTail, id: BoxId) => {
  const looked = gate();
  const second = new LogFeed(store.log, tail).untilBox(
    id,
    async () => {
      const [, event] = await store.log.readStream(boxStream(id), noVersion, 2);
      looked.open();
      return event?.type;
    },
    new AbortController().signal,
  );
  return { second, looked: looked.passed };
};

const created = async (name: string) => boxId((await create(name)).box?.boxId ?? '');
const remove = (box: string) =>
  call(plane.api.boxes, plane.api.boxes.remove, { ...RemoveRequest.decode(new Uint8Array()), box });
const patientTail = (store: Store) =>
  new LogTail(store.log, { pollIntervalMs: 3_600_000, keep: 100, onError: () => undefined });

test('who waits for a box hears of what its own process did while an older transaction keeps the log from being read', async () => {
  const id = await created('near');
  const tail = patientTail(plane.store);
  const older = await plane.store.pool.connect();
  try {
    await older.query('BEGIN');
    await older.query('SELECT pg_current_xact_id()');
    const { second, looked } = awaitSecond(plane.store, tail, id);
    await looked;
    await remove(id);
    expect(await second).toBe('box.removeRequested');
  } finally {
    await older.query('ROLLBACK');
    older.release();
    tail.stop();
  }
});

test('who waits for a box hears of what another process did', async () => {
  const id = await created('far');
  const other = await openStore({ databaseUrl: plane.store.databaseUrl, log: silentLog });
  const tail = patientTail(other);
  const { second, looked } = awaitSecond(other, tail, id);
  await looked;
  await remove(id);
  expect(await second).toBe('box.removeRequested');
  tail.stop();
  await other.close();
});
