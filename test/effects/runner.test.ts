import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EffectContext } from '../../src/effects/effect-handler.ts';
import type { EffectKind } from '../../src/events/effects.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import type { HostId } from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { createPlane, flakyDoor, instantHandlers, type Plane, someProcess } from '../support/plane.ts';

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
const untilAborted = async ({ signal }: Pick<EffectContext<EffectKind>, 'signal'>): Promise<never> => {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
};
const stateOf = async (effectId: string) =>
  (
    await plane.store.pool.query('SELECT state, attempt FROM boxledger.effects WHERE effect_id = $1', [
      effectId,
    ])
  ).rows[0];

test('an effect is carried out and its outcome is in the log, with who did it and what led to it', async () => {
  await plane.runner(host, {}).start();
  const box = await plane.startingBox(host);
  const { effect } = await plane.view(box);
  await plane.until(box, 'running');
  await plane.submit({ type: 'box.pause', boxId: box });
  await plane.until(box, 'paused');
  await plane.submit({ type: 'box.resume', boxId: box });
  await plane.until(box, 'running');
  await plane.submit({ type: 'box.stop', boxId: box });
  await plane.until(box, 'stopped');
  await plane.submit({ type: 'box.remove', boxId: box, force: false });
  await plane.until(box, 'removed');
  const started = (await plane.store.log.readAll('', 100, { types: ['box.started'] })).events.at(-1);
  expect(started).toMatchObject({ actor: { kind: 'system', id: `host/${host}` } });
  expect(started?.causationId).toBe(effect?.effectId ?? started?.causationId);
});

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

test('a retryable failure is handed back and tried again; the box sees only the outcome', async () => {
  const attempts: number[] = [];
  await plane
    .runner(host, {
      'vm.boot': async (_args, { attempt }) => {
        attempts.push(attempt);
        if (attempt < 3) throw new BoxledgerError('Unavailable', 'not yet');
        return booted;
      },
    })
    .start();
  const box = await plane.startingBox(host);
  await plane.until(box, 'running');
  expect(attempts).toEqual([1, 2, 3]);
  expect(await plane.eventTypes(box)).toEqual(['box.created', 'box.startRequested', 'box.started']);
});

test('a failure that no repetition would change is the outcome at once', async () => {
  await plane
    .runner(host, {
      'vm.boot': async () => {
        throw new BoxledgerError('Internal', 'the guest died', { details: { console: 'no such kernel' } });
      },
    })
    .start();
  const box = await plane.startingBox(host);
  const { failure } = await plane.until(box, 'failed');
  expect(failure).toEqual({
    code: 'Internal',
    message: 'the guest died',
    details: { console: 'no such kernel' },
  });
});

test('an error that nobody classified is an Internal failure, and the runner goes on', async () => {
  await plane
    .runner(host, {
      'vm.boot': async (args) => {
        if (args.options.cpus === 1) throw new TypeError('a mistake');
        return booted;
      },
    })
    .start();
  const box = await plane.startingBox(host);
  expect((await plane.until(box, 'failed')).failure).toMatchObject({
    code: 'Internal',
    message: 'a mistake',
  });
});

test('a stop overtakes the boot that runs, and begins when its handler has ended', async () => {
  const order: string[] = [];
  const [started, undone] = [gate(), gate()];
  await plane
    .runner(host, {
      'vm.boot': async (_args, context) => {
        started.open();
        await untilAborted(context).catch(() => order.push('boot aborted'));
        await undone.passed;
        order.push('boot undone');
        throw new Error('undone');
      },
      'vm.shutdown': async (args, context) => {
        order.push('shutdown');
        return instantHandlers['vm.shutdown'](args, context);
      },
    })
    .start();
  const box = await plane.startingBox(host);
  await started.passed;
  await plane.submit({ type: 'box.stop', boxId: box });
  await eventually('the boot is told', () => order.length === 1);
  undone.open();
  await plane.until(box, 'stopped');
  expect(order).toEqual(['boot aborted', 'boot undone', 'shutdown']);
  expect(await plane.eventTypes(box)).toEqual([
    'box.created',
    'box.startRequested',
    'box.stopRequested',
    'box.stopped',
  ]);
});

test('effects of different boxes run side by side', async () => {
  const both = gate();
  let running = 0;
  await plane
    .runner(host, {
      'vm.boot': async () => {
        running += 1;
        if (running === 2) both.open();
        await both.passed;
        return booted;
      },
    })
    .start();
  const boxes = await Promise.all([plane.startingBox(host), plane.startingBox(host)]);
  for (const box of boxes) await plane.until(box, 'running');
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

test('a lease is renewed for as long as its handler works', async () => {
  await plane
    .runner(
      host,
      {
        'vm.boot': async (_args, { signal }) => {
          for (const _ of [1, 2, 3, 4])
            await eventually('the next quarter', async () => {
              await plane.store.pool.query('SELECT pg_sleep(0.1)');
              return true;
            });
          signal.throwIfAborted();
          return booted;
        },
      },
      { leaseMs: 300 },
    )
    .start();
  const box = await plane.startingBox(host);
  await plane.until(box, 'running');
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
