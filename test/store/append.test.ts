import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AppendResult, StreamAppend } from '../../src/commands/event-store.ts';
import { boxStream, commandId, defaultTenant, tenantId, version } from '../../src/kernel/ids.ts';
import { eventHash } from '../../src/store/event-hash.ts';
import { openStore } from '../../src/store/store.ts';
import {
  appendRequest,
  boxAppend,
  someBoxId,
  someHostId,
  someIntent,
  startOfTime,
} from '../support/append-request.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const append = (streams: readonly StreamAppend[], options: Parameters<typeof appendRequest>[1] = {}) =>
  store.events.append(appendRequest(streams, options));

const only = (result: AppendResult) => {
  const stream = result.kind === 'appended' ? result.streams[0] : undefined;
  if (stream === undefined) throw new Error(`not appended: ${JSON.stringify(result)}`);
  return stream;
};

/** Number of rows in every table that an append may write. */
const census = async () => {
  const { rows } = await store.pool.query(`
    SELECT (SELECT count(*) FROM boxledger.events) AS events, (SELECT count(*) FROM boxledger.heads) AS heads,
      (SELECT count(*) FROM boxledger.effects) AS effects, (SELECT count(*) FROM boxledger.boxes) AS boxes,
      (SELECT count(*) FROM boxledger.commands) AS commands,
      (SELECT string_agg(version::text, ',' ORDER BY stream_id) FROM boxledger.heads) AS versions`);
  return rows[0];
};

test('what is appended is read back exactly as it was returned', async () => {
  const box = someBoxId();
  const stream = only(await append([boxAppend({ box, labels: { a: 'é\u{1f600}"\\\u2028' } })]));
  const read = await store.log.readStream(boxStream(box), version(0), 10);
  expect(read).toEqual(stream.events);
  expect(read[0]).toMatchObject({ version: 1n, occurredAt: startOfTime, type: 'box.created' });
  expect(await store.events.load(boxStream(box))).toEqual({
    streamId: boxStream(box),
    tenant: defaultTenant,
    version: 1n,
    hash: stream.hash,
    snapshot: { value: 'configured' },
    fingerprint: 'fingerprint',
  });
});

test('each hash covers the one before it and the stored envelope', async () => {
  const box = someBoxId();
  const first = only(await append([boxAppend({ box })]));
  await append([
    boxAppend({
      box,
      after: first,
      events: [
        { type: 'box.stopRequested', data: { timeoutMs: 1, thenRemove: false } },
        { type: 'box.removed', data: { diskAbandoned: false } },
      ],
    }),
  ]);
  let previous = '';
  const events = await store.log.readStream(boxStream(box), version(0), 10);
  expect(events.map((event) => event.version)).toEqual([1n, 2n, 3n]);
  for (const event of events) {
    expect(eventHash(previous, event)).toBe(event.hash);
    previous = event.hash;
  }
});

test('a stream that is elsewhere than expected is a conflict and leaves nothing behind', async () => {
  const box = someBoxId();
  const first = only(await append([boxAppend({ box })]));
  const second = boxAppend({ box, after: first, effects: [someIntent(box, someHostId())] });
  expect((await append([second])).kind).toBe('appended');
  const before = await census();
  expect(await append([second])).toEqual({ kind: 'version-conflict', streamId: boxStream(box) });
  expect(await append([boxAppend({ box })])).toEqual({ kind: 'version-conflict', streamId: boxStream(box) });
  expect(await census()).toEqual(before);
});

test('a stream whose head was lost is not begun again', async () => {
  const box = someBoxId();
  await append([boxAppend({ box })]);
  await store.pool.query('DELETE FROM boxledger.heads WHERE stream_id = $1', [boxStream(box)]);
  expect(await append([boxAppend({ box })])).toEqual({ kind: 'version-conflict', streamId: boxStream(box) });
});

test('several streams are appended all or none', async () => {
  const [one, two] = [someBoxId(), someBoxId()];
  const first = only(await append([boxAppend({ box: one })]));
  const before = await census();
  const stale = { ...first, version: 7n };
  expect(await append([boxAppend({ box: two }), boxAppend({ box: one, after: stale })])).toEqual({
    kind: 'version-conflict',
    streamId: boxStream(one),
  });
  expect(await census()).toEqual(before);
  const both = await append([boxAppend({ box: two }), boxAppend({ box: one, after: first })]);
  expect(both).toMatchObject({
    kind: 'appended',
    streams: [
      { streamId: boxStream(two), version: 1n },
      { streamId: boxStream(one), version: 2n },
    ],
  });
});

test('a command that comes again is answered as before, also to another process', async () => {
  const request = appendRequest([boxAppend()], { commandId: 'again' });
  expect((await store.events.append(request)).kind).toBe('appended');
  const before = await census();
  const answered = { kind: 'answered-before', answer: request.command.answer };
  expect(await store.events.append(request)).toEqual(answered);
  expect(await store.events.append(appendRequest([boxAppend()], { commandId: 'again' }))).toEqual(answered);
  const other = await openStore({ databaseUrl: store.databaseUrl, log: silentLog });
  expect(await other.events.append(request)).toEqual(answered);
  expect(await other.events.answerOf(defaultTenant, commandId('again'), 'digest')).toEqual(answered);
  await other.close();
  expect(await census()).toEqual(before);
});

test('a command id that comes with another body is refused', async () => {
  await append([boxAppend()], { commandId: 'reused' });
  const before = await census();
  expect(await append([boxAppend()], { commandId: 'reused', digest: 'other' })).toEqual({
    kind: 'command-reused',
  });
  expect(await store.events.answerOf(defaultTenant, commandId('reused'), 'other')).toEqual({
    kind: 'command-reused',
  });
  expect(await store.events.answerOf(defaultTenant, commandId('never'), 'digest')).toBeUndefined();
  expect(await census()).toEqual(before);
});

test('a refused command may come again and succeed', async () => {
  const box = someBoxId();
  const first = only(await append([boxAppend({ box })]));
  const late = { ...first, version: 2n };
  expect((await append([boxAppend({ box, after: late })], { commandId: 'retry' })).kind).toBe(
    'version-conflict',
  );
  expect((await append([boxAppend({ box, after: first })], { commandId: 'retry' })).kind).toBe('appended');
});

test('the same command sent many times at once is carried out once', async () => {
  const results = await Promise.all(
    Array.from({ length: 12 }, () => append([boxAppend()], { commandId: 'at-once' })),
  );
  expect(results.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
  expect(results.filter(({ kind }) => kind === 'answered-before')).toHaveLength(11);
});

test('an answer is kept also when there was nothing to append', async () => {
  const request = appendRequest([], { commandId: 'already-so' });
  expect(await store.events.append(request)).toEqual({ kind: 'appended', streams: [] });
  expect(await store.events.append(request)).toEqual({
    kind: 'answered-before',
    answer: request.command.answer,
  });
});

test('a name is taken once in a tenant, and free again after its box was removed', async () => {
  const box = someBoxId();
  const first = only(await append([boxAppend({ box, name: 'web' })]));
  const before = await census();
  expect(await append([boxAppend({ name: 'web' })])).toEqual({ kind: 'name-taken', name: 'web' });
  expect(await census()).toEqual(before);
  const tenant = tenantId('other');
  expect((await append([boxAppend({ name: 'web', tenant })], { tenant })).kind).toBe('appended');
  await append([boxAppend({ box, name: 'web', state: 'removed', after: first })]);
  expect((await append([boxAppend({ name: 'web' })])).kind).toBe('appended');
});

test('of two boxes that want a name at once exactly one gets it', async () => {
  const results = await Promise.all(Array.from({ length: 8 }, () => append([boxAppend({ name: 'raced' })])));
  expect(results.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
  expect(results.filter(({ kind }) => kind === 'name-taken')).toHaveLength(7);
});

test('two processes that race on one stream win each version exactly once', async () => {
  const rival = await openStore({ databaseUrl: store.databaseUrl, log: silentLog });
  const box = someBoxId();
  await append([boxAppend({ box })]);
  const wins = new Map<bigint, number>();
  const run = async (side: typeof rival) => {
    for (let turn = 0; turn < 60; turn += 1) {
      const head = await side.events.load(boxStream(box));
      if (head === undefined) throw new Error('the head is gone');
      const result = await side.events.append(appendRequest([boxAppend({ box, after: head })]));
      if (result.kind === 'appended') wins.set(head.version, (wins.get(head.version) ?? 0) + 1);
    }
  };
  await Promise.all([run(store), run(store), run(rival), run(rival)]);
  await rival.close();
  const head = await store.events.load(boxStream(box));
  expect([...wins.values()].every((times) => times === 1)).toBe(true);
  expect(head?.version).toBe(BigInt(wins.size) + 1n);
});

test('appends that span the same streams in opposite order do not wait for each other for ever', async () => {
  const [one, two] = [someBoxId(), someBoxId()];
  await append([boxAppend({ box: one }), boxAppend({ box: two })]);
  const span = async (boxes: readonly [typeof one, typeof two]) => {
    for (let turn = 0; turn < 30; turn += 1) {
      const heads = await Promise.all(boxes.map((box) => store.events.load(boxStream(box))));
      await append(
        boxes.flatMap((box, index) => (heads[index] ? [boxAppend({ box, after: heads[index] })] : [])),
      );
    }
  };
  await Promise.all([span([one, two]), span([two, one]), span([one, two]), span([two, one])]);
  const heads = await Promise.all([one, two].map((box) => store.events.load(boxStream(box))));
  expect(heads[0]?.version).toBe(heads[1]?.version);
  expect(heads[0]?.version).toBeGreaterThan(30n);
});

test.each([
  "UPDATE boxledger.events SET type = 'x'",
  'DELETE FROM boxledger.events',
  'TRUNCATE boxledger.events',
])('the log refuses: %s', async (sql) => {
  await append([boxAppend()]);
  await expect(store.pool.query(sql)).rejects.toMatchObject({ code: '55000' });
});
