import { afterEach, beforeEach, expect, test } from 'vitest';
import { Door } from '../../src/commands/submit.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxCommand, ExecCommand } from '../../src/events/commands.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, defaultTenant } from '../../src/kernel/ids.ts';
import { folding } from '../../src/main/folds.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { placement } from '../machines/box/story.ts';
import { eventually } from '../support/eventually.ts';
import { execRequest } from '../support/exec-commands.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
let door: Door;
beforeEach(async () => {
  store = await createStore();
  door = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    onEffects: () => undefined,
    crash: noCrash,
    keepStates: 100,
  });
});
afterEach(() => store.close());

const submit = async (command: BoxCommand | ExecCommand) => {
  const answer = await door.submit(command, { tenant: defaultTenant, actor: { kind: 'user', id: 'ann' } });
  if (answer.kind === 'refused') throw new Error(JSON.stringify(answer.refusal));
};
const create = async (name: string): Promise<BoxId> => {
  const boxId = randomIds.boxId();
  await submit({ type: 'box.create', boxId, name, options: boxOptionsSchema.parse({}) });
  return boxId;
};
const some = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => create(`box-${index}`)));
const damage = (table: 'heads' | 'boxes') =>
  store.pool.query(
    table === 'heads'
      ? `UPDATE boxledger.heads SET snapshot = '{"value":"removed","context":{}}'`
      : `UPDATE boxledger.boxes SET state = 'lost', view = '{}'`,
  );

test('what is appended while streams are folded is in what replaces the old', async () => {
  const [one, other, ...rest] = await some(120);
  if (one === undefined || other === undefined) throw new Error('no boxes');
  let told = 0;
  const { streams } = await store.rebuild(folding, {
    onProgress: async (folded) => {
      told += 1;
      if (folded !== 120) return;
      await submit({ type: 'box.start', boxId: one, placement });
      await submit({ type: 'box.remove', boxId: other, force: false });
      await create('box-1');
      await create('another');
    },
  });
  expect(streams).toBe(122);
  expect(told).toBe(2);
  await expectReplayEqualsHeads(store.databaseUrl);
  const states = await store.boxes.count(defaultTenant);
  expect(states).toEqual({ configured: rest.length + 2, starting: 1 });
});

test('commands are carried out while everything is made again, over and over', async () => {
  const boxes = await some(12);
  let going = true;
  const commands = boxes.map(async (boxId) => {
    while (going) {
      await submit({ type: 'box.start', boxId, placement });
      await submit({ type: 'box.stop', boxId });
      const found = await store.boxes.find(defaultTenant, boxId);
      if (found.kind !== 'found' || found.box.view.effect === null) throw new Error('not stopping');
      const { effect, generation } = found.box.view;
      await submit({
        type: 'box.settleEffect',
        boxId,
        effectId: effect.effectId,
        generation,
        outcome: {
          kind: 'vm.shutdown',
          outcome: {
            status: 'succeeded',
            result: { exit: { kind: 'code', code: 0 }, manner: 'graceful', failures: [] },
          },
        },
      });
    }
  });
  try {
    for (let round = 0; round < 3; round += 1) await store.rebuild(folding);
  } finally {
    going = false;
    await Promise.all(commands);
  }
  await expectReplayEqualsHeads(store.databaseUrl);
});

test('readers of the log are not held back while streams are folded', async () => {
  await some(100);
  await store.rebuild(folding, {
    onProgress: async () => {
      const boxId = await create(`seen-${randomIds.boxId().slice(3)}`);
      await eventually('the event can be read while streams are folded', async () => {
        const { events } = await store.log.readAll('', 1_000, { streamId: `box/${boxId}` as never }); // a box's stream
        return events.length === 1;
      });
    },
  });
});

test('only the projection that is asked for is made again', async () => {
  await some(3);
  await damage('boxes');
  await damage('heads');
  await store.rebuild(folding, { only: 'boxes' });
  expect(await store.boxes.count(defaultTenant)).toEqual({ configured: 3 });
  const damaged = "SELECT FROM boxledger.heads WHERE snapshot ->> 'value' = 'removed'";
  expect((await store.pool.query(damaged)).rowCount).toBe(3);
  await damage('boxes');
  await store.rebuild(folding, { only: 'heads' });
  expect((await store.pool.query(damaged)).rowCount).toBe(0);
  expect(await store.boxes.count(defaultTenant)).toEqual({ lost: 3 });
});

test('heads and rows without events are gone afterwards, and open execs are known again', async () => {
  const [boxId] = await some(1);
  if (boxId === undefined) throw new Error('no box');
  const execId = randomIds.execId();
  await submit(execRequest(execId, boxId));
  await store.pool.query('DELETE FROM boxledger.execs');
  await store.pool.query(
    `INSERT INTO boxledger.execs VALUES ('exec/ex_0000000000000000', 'default', $1, now(), true)`,
    [boxId],
  );
  await store.pool.query(
    `INSERT INTO boxledger.heads SELECT 'box/bx_0000000000000000', tenant, version, hash, fingerprint, snapshot
     FROM boxledger.heads WHERE stream_id = $1`,
    [`box/${boxId}`],
  );
  await store.rebuild(folding);
  expect((await store.execs.open(randomIds.hostId(), '', 10)).map((exec) => exec.execId)).toEqual([execId]);
  expect((await store.pool.query('SELECT FROM boxledger.heads')).rowCount).toBe(2);
});

test('a rebuild that is interrupted leaves everything as it was', async () => {
  await some(2);
  await damage('heads');
  const why = new Error('enough');
  await expect(store.rebuild(folding, { signal: AbortSignal.abort(why) })).rejects.toBe(why);
  const damaged = "SELECT FROM boxledger.heads WHERE snapshot ->> 'value' = 'removed'";
  expect((await store.pool.query(damaged)).rowCount).toBe(2);
});
