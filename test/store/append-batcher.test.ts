import { afterAll, beforeAll, expect, test } from 'vitest';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { boxStream, defaultTenant, version } from '../../src/kernel/ids.ts';
import { AppendBatcher } from '../../src/store/append-batcher.ts';
import { appendRequest, boxAppend, someBoxId } from '../support/append-request.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { createStore, type TestStore } from '../support/store.ts';

/** A batcher of strings that is busy with a first statement until `open`; items are keyed by their first letter. */
const busy = async (write: (items: readonly string[]) => void = () => undefined) => {
  const statements: string[] = [];
  const [begun, first] = [gate(), gate()];
  const batcher = new AppendBatcher<string, string>(
    async (items) => {
      statements.push(items.join(' '));
      begun.open();
      if (statements.length === 1) await first.passed;
      write(items);
      return items.map((item) => `${item}!`);
    },
    ([letter = '']) => [letter],
    1,
  );
  const before = batcher.submit('first');
  await begun.passed;
  const open = async () => {
    first.open();
    expect(await before).toBe('first!');
  };
  return { batcher, statements, open };
};

test('what comes while a statement is under way is written by the next one, and replies go to those who asked', async () => {
  const { batcher, statements, open } = await busy();
  const replies = Promise.all(['a', 'b', 'c'].map((item) => batcher.submit(item)));
  await open();
  expect(await replies).toEqual(['a!', 'b!', 'c!']);
  expect(statements).toEqual(['first', 'a b c']);
});

test('who was answered by one statement and asks again at once is in the next', async () => {
  const { batcher, statements, open } = await busy();
  const askTwice = async (item: string) => {
    await batcher.submit(item);
    return batcher.submit(item);
  };
  const replies = Promise.all(['a', 'b', 'c'].map(askTwice));
  await open();
  await replies;
  expect(statements).toEqual(['first', 'a b c', 'a b c']);
});

test('streams are written in the order in which they are locked, and changes of one after each other, as they came', async () => {
  const { batcher, statements, open } = await busy();
  const replies = Promise.all(['c1', 'a1', 'c2', 'b1', 'a2'].map((item) => batcher.submit(item)));
  await open();
  await replies;
  expect(statements).toEqual(['first', 'a1 b1 c1', 'a2 c2']);
});

test('when the database is away, all that were to be written together fail, and what comes later does not', async () => {
  const { batcher, statements, open } = await busy((items) => {
    if (items.includes('b')) throw new BoxledgerError('Unavailable', 'away');
  });
  const replies = Promise.allSettled(['a', 'b', 'c'].map((item) => batcher.submit(item)));
  await open();
  const failed = { status: 'rejected', reason: expect.objectContaining({ code: 'Unavailable' }) };
  expect(await replies).toEqual([failed, failed, failed]);
  expect(await batcher.submit('c')).toBe('c!');
  expect(statements).toEqual(['first', 'a b c', 'c']);
});

test('what the database cannot take fails alone', async () => {
  const { batcher, open } = await busy((items) => {
    if (items.includes('b')) throw new BoxledgerError('Internal', 'not to be written');
  });
  const replies = Promise.allSettled(['a', 'b', 'c', 'd'].map((item) => batcher.submit(item)));
  await open();
  expect((await replies).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
  ]);
});

test('callers past the bound are told to come again, and all before them are written', async () => {
  const { batcher, statements, open } = await busy();
  const many = Array.from({ length: 4_200 }, (_, index) =>
    batcher.submit(String.fromCodePoint(0x4e00 + index)),
  );
  const replies = Promise.allSettled(many);
  await open();
  const refused = (await replies).flatMap((reply) => (reply.status === 'rejected' ? [reply.reason] : []));
  expect(refused.length).toBe(4_200 - 4_096);
  expect(refused[0]).toMatchObject({ code: 'ResourceExhausted', retry: true });
  expect(statements.length).toBe(1 + 4_096 / 64);
});

test('two writers share what waits, but never the changes of one stream', async () => {
  const statements: string[] = [];
  const gates = [gate(), gate(), gate()];
  const batcher = new AppendBatcher<string, string>(
    async (items) => {
      statements.push(items.join(' '));
      await gates[statements.length - 1]?.passed;
      return items;
    },
    ([letter = '']) => [letter],
    2,
  );
  const many = Array.from({ length: 40 }, (_, index) => String.fromCodePoint(0x4e00 + index));
  const replies = Promise.all(many.map((item) => batcher.submit(item)));
  await eventually('both writers write', async () => statements.length === 2);
  expect(statements.map((items) => items.split(' ').length)).toEqual([20, 20]);
  const [first = '', last = ''] = [many[0], many[39]];
  const again = Promise.all([batcher.submit(`${last}2`), batcher.submit(`${first}2`)]);
  gates[0]?.open();
  await eventually('the first writer goes on with its own', async () => statements.length === 3);
  expect(statements[2]).toBe(`${first}2`);
  for (const each of gates) each.open();
  expect(await replies).toEqual(many);
  expect(await again).toEqual([`${last}2`, `${first}2`]);
  expect(statements[3]).toBe(`${last}2`);
});

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

test('of appends that come at once, those that conflict fail alone', async () => {
  const [one, other] = [someBoxId(), someBoxId()];
  const results = await Promise.all(
    [one, one, other, someBoxId(), other, one].map((box) =>
      store.events.append(appendRequest([boxAppend({ box })])),
    ),
  );
  expect(results.map(({ kind }) => kind)).toEqual([
    'appended',
    'version-conflict',
    'appended',
    'appended',
    'version-conflict',
    'version-conflict',
  ]);
});

test('free text that looks like packed rows is stored as it is', async () => {
  const plain = appendRequest([boxAppend()]);
  const provenance = {
    ...plain.provenance,
    reason: 'a\u001fb\u001ec',
    actor: { kind: 'user', id: '\u001a' },
  } as const;
  const result = await store.events.append({ ...plain, provenance });
  const [stream] = result.kind === 'appended' ? result.streams : [];
  if (stream === undefined) throw new Error(result.kind);
  expect(await store.log.readStream(stream.streamId, version(0), 10)).toEqual(stream.events);
  expect(stream.events[0]).toMatchObject({ reason: 'a\u001fb\u001ec', actor: { id: '\u001a' } });
});

test('a connection that is lost fails all appends under way, and their commands can be sent again', async () => {
  const boxes = Array.from({ length: 5 }, someBoxId);
  const requests = boxes.map((box) => appendRequest([boxAppend({ box })]));
  const blocker = await store.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE boxledger.heads');
  const results = Promise.allSettled(requests.map((request) => store.events.append(request)));
  await eventually('an append waits and its connection is lost', async () => {
    const { rows } = await store.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%boxledger.append_together(%'`,
    );
    return rows.length > 0;
  });
  await blocker.query('ROLLBACK');
  blocker.release();
  const [first] = await results;
  expect(first).toMatchObject({ status: 'rejected', reason: { code: 'Unavailable' } });
  const again = await Promise.all(requests.map((request) => store.events.append(request)));
  for (const { kind } of again) expect(['appended', 'answered-before']).toContain(kind);
  for (const box of boxes)
    expect(await store.events.load(boxStream(box))).toMatchObject({ version: 1n, tenant: defaultTenant });
});
