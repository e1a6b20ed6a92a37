import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { boxStream } from '../../src/kernel/ids.ts';
import { openStore } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId } from '../support/append-request.ts';
import { type Child, runSupport } from '../support/child.ts';
import { eventually } from '../support/eventually.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const children: Child[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill('SIGKILL');
});

const createBoxes = async (count: number, side = store) => {
  const boxes = Array.from({ length: count }, someBoxId);
  await Promise.all(boxes.map((box) => side.events.append(appendRequest([boxAppend({ box })]))));
  return boxes.map(boxStream);
};

const run = async (name: string, holder: string, manner = '', leaseMs = 500) => {
  const child = runSupport('consumer-process.ts', [store.databaseUrl, name, holder, String(leaseMs), manner]);
  children.push(child);
  const lines: string[] = [];
  while ((await child.line()) !== 'ready');
  void (async () => {
    for (;;) lines.push(await child.line());
  })().catch(() => undefined); // it has ended
  return {
    lines,
    got: () => lines.flatMap((line) => (line.startsWith('got ') ? [line.slice(4)] : [])),
    kill: () => child.kill('SIGKILL'),
    stop: () => child.process.stdin?.end(),
  };
};

test('of two processes one runs the consumer, and the other goes on where that one stops', async () => {
  await createBoxes(12);
  const [ann, bob] = await Promise.all([run('shared', 'ann'), run('shared', 'bob')]);
  await eventually('all have come', () => ann.got().length + bob.got().length >= 12);
  expect([ann.got().length, bob.got().length].toSorted()).toEqual([0, 12]);
  const [first, second] = ann.got().length > 0 ? [ann, bob] : [bob, ann];
  expect(await store.consumers.list()).toEqual([
    { name: 'shared', cursor: await store.log.end(), holder: first === ann ? 'ann' : 'bob' },
  ]);
  first.stop();
  await eventually('it has stopped', () => first.lines.includes('stopped'));
  const more = await createBoxes(3);
  await eventually('the other has them', () => second.got().length >= 3);
  expect(second.got().toSorted()).toEqual(more.toSorted());
});

test('what a process was at when it was killed comes again, to another', async () => {
  await store.consumers.restart('killed', await store.log.end());
  const boxes = await createBoxes(5);
  const dying = await run('killed', 'dying', 'hang');
  await eventually('it is at the first batch', () => dying.got().length > 0);
  const heir = await run('killed', 'heir');
  await dying.kill();
  await eventually('the other has all of it', () => heir.got().length >= 5);
  expect(heir.got().toSorted()).toEqual(boxes.toSorted());
});

test('nothing is skipped while many append at once and some commit late', async () => {
  await store.consumers.restart('late', await store.log.end());
  const reader = await run('late', 'reader');
  const rival = await openStore({ databaseUrl: store.databaseUrl, log: silentLog });
  const late = await store.pool.connect();
  await late.query('BEGIN; SELECT pg_current_xact_id()');
  const [mine, theirs] = await Promise.all([createBoxes(40), createBoxes(40, { ...store, ...rival })]);
  const lateBox = boxStream(someBoxId());
  await late.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     VALUES (1, now(), 1, $1, 'host.left', '{"epoch": 1}', 'default', 'user', 'ada', 'late', 'late', sha256(''))`,
    [lateBox],
  );
  await late.query('COMMIT');
  late.release();
  await eventually('all have come', () => reader.got().length >= 81);
  await rival.close();
  expect(reader.got().toSorted()).toEqual([...mine, ...theirs, lateBox].toSorted());
});
