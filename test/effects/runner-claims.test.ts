import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Outbox } from '../../src/effects/outbox.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import type { HostId } from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { createPlane, flakyDoor, type Plane, someProcess, untilAborted } from '../support/plane.ts';

let plane: Plane;
let host: HostId;
beforeAll(async () => {
  plane = await createPlane();
});
afterAll(() => plane.close());
beforeEach(() => {
  host = randomIds.hostId();
});
afterEach(() => {
  plane.dispatching = true;
});

const future = () => timestampFromMs(Date.now() + 60 * 60_000);
const booted = { process: someProcess, stagesMs: {}, tookOver: false };
const stateOf = async (effectId: string) =>
  (
    await plane.store.pool.query('SELECT state, attempt FROM boxledger.effects WHERE effect_id = $1', [
      effectId,
    ])
  ).rows[0];

test('two deliveries of one effect run it once', async () => {
  const [open, started] = [gate(), gate()];
  let runs = 0;
  await plane
    .runner(host, {
      'vm.boot': async () => {
        runs += 1;
        started.open();
        await open.passed;
        return booted;
      },
    })
    .start();
  const box = await plane.startingBox(host);
  const { effect } = await plane.view(box);
  if (effect === null) throw new Error('no effect');
  await started.passed;
  const second = await plane.store.outbox.claim(effect.effectId, { hostId: host, epoch: 1 }, 1_000);
  expect(second.kind).toBe('held');
  open.open();
  await plane.until(box, 'running');
  await plane.queue.enqueue([{ effectId: effect.effectId, hostId: host, delayMs: 0 }]);
  await eventually('the second delivery is dealt with', async () => (await plane.queue.depth(host)) === 0);
  expect(runs).toBe(1);
});

test('an effect whose claim is lost is aborted, and its late outcome is not heard', async () => {
  const ended: unknown[] = [];
  const started = gate<string>();
  const runner = plane.runner(
    host,
    {
      'vm.boot': async (_args, context) => {
        started.open(context.intent.effectId);
        await untilAborted(context).catch(() => undefined);
        return booted;
      },
    },
    { leaseMs: 300, onEnd: (_intent, view) => ended.push(view) },
  );
  await runner.start();
  const box = await plane.startingBox(host);
  const effectId = await started.passed;
  await plane.store.pool.query(
    `UPDATE boxledger.effects SET attempt = attempt + 1, lease_until = now() + interval '1 hour' WHERE effect_id = $1`,
    [effectId],
  );
  await eventually('the handler is told', () => ended.length === 1);
  expect(ended).toEqual([null]);
  expect((await plane.view(box)).state).toBe('starting');
  expect(await stateOf(effectId)).toMatchObject({ state: 'claimed', attempt: 2 });
});

test('an epoch of a host that has joined again since claims nothing, and what it holds it cannot renew', async () => {
  const { outbox } = plane.store;
  const open = async () => {
    const { effect } = await plane.view(await plane.startingBox(host));
    if (effect === null) throw new Error('no effect');
    return effect.effectId;
  };
  plane.dispatching = false;
  const replaced = { hostId: host, epoch: await plane.join(host) };
  const [held, left] = [await open(), await open()];
  expect((await outbox.claim(held, replaced, 60_000)).kind).toBe('claimed');
  const present = { hostId: host, epoch: await plane.join(host) };
  expect(await outbox.claim(left, replaced, 60_000)).toEqual({ kind: 'over' });
  expect(await outbox.renew({ effectId: held, attempt: 1 }, 60_000)).toBe(false);
  expect((await outbox.claim(left, present, 60_000)).kind).toBe('claimed');
  expect(await outbox.renew({ effectId: left, attempt: 1 }, 60_000)).toBe(true);
});

test('a lease is renewed for as long as its handler works', async () => {
  const leaseOf = async (id: string): Promise<Date> =>
    (await plane.store.pool.query('SELECT lease_until FROM boxledger.effects WHERE effect_id = $1', [id]))
      .rows[0].lease_until;
  await plane
    .runner(
      host,
      {
        'vm.boot': async (_args, { intent, signal }) => {
          const first = await leaseOf(intent.effectId);
          await eventually('it is renewed', async () => (await leaseOf(intent.effectId)) > first);
          signal.throwIfAborted();
          return booted;
        },
      },
      { leaseMs: 3_000 },
    )
    .start();
  const box = await plane.startingBox(host);
  await plane.until(box, 'running');
});

test('an effect is let go of when its lease has run out and the database says nothing at all', async () => {
  const { outbox } = plane.store;
  const silence: Outbox = {
    takeUnqueued: (...args) => outbox.takeUnqueued(...args),
    claim: (...args) => outbox.claim(...args),
    renew: () => new Promise(() => undefined),
    release: (...args) => outbox.release(...args),
    releaseEarlierEpochs: (...args) => outbox.releaseEarlierEpochs(...args),
    takeOverdue: (...args) => outbox.takeOverdue(...args),
    backlog: () => outbox.backlog(),
  };
  const ended: unknown[] = [];
  await plane
    .runner(
      host,
      { 'vm.boot': (_args, context) => untilAborted(context) },
      { outbox: silence, leaseMs: 300, onEnd: (_intent, view) => ended.push(view) },
    )
    .start();
  await plane.startingBox(host);
  await eventually('it is let go of', () => ended.length === 1);
  expect(ended).toEqual([null]);
});

test.each(['before', 'after'] as const)(
  'an outcome enters once when the database goes away %s it is written',
  async (when) => {
    const away = new BoxledgerError('Unavailable', 'the database is away');
    let runs = 0;
    await plane
      .runner(
        host,
        {
          'vm.boot': async () => {
            runs += 1;
            return booted;
          },
        },
        { door: flakyDoor(plane.door, 3, when, away) },
      )
      .start();
    const box = await plane.startingBox(host);
    await plane.until(box, 'running');
    await eventually('the queue is empty', async () => (await plane.queue.depth(host)) === 0);
    expect(runs).toBe(1);
    expect(await plane.eventTypes(box)).toEqual(['box.created', 'box.startRequested', 'box.started']);
  },
);

test('past its deadline an effect is broken off, and that is its outcome', async () => {
  await plane
    .runner(
      host,
      { 'vm.boot': (_args, context) => untilAborted(context) },
      // A clock that is ahead by more than a boot may take.
      { clock: { now: () => future(), monotonicMs: () => performance.now() } },
    )
    .start();
  const box = await plane.startingBox(host);
  expect((await plane.until(box, 'failed')).failure).toMatchObject({ code: 'DeadlineExceeded' });
});

test('close lets an effect finish that can, and hands back one that cannot', async () => {
  const [started, quick] = [gate(), gate()];
  let boots = 0;
  const runner = plane.runner(host, {
    'vm.boot': async (_args, context) => {
      boots += 1;
      if (boots === 2) started.open();
      if (boots === 1) {
        await quick.passed;
        return booted;
      }
      return untilAborted(context);
    },
  });
  await runner.start();
  const first = await plane.startingBox(host);
  await eventually('the first boots', () => boots === 1);
  const second = await plane.startingBox(host);
  await started.passed;
  const { effect } = await plane.view(second);
  const closing = runner.close(500);
  quick.open();
  await closing;
  expect((await plane.view(first)).state).toBe('running');
  expect((await plane.view(second)).state).toBe('starting');
  expect(await stateOf(effect?.effectId ?? '')).toMatchObject({ state: 'pending', attempt: 1 });
  await plane.runner(host, {}).start();
  await plane.until(second, 'running');
});
