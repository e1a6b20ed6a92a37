import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CommandDoor } from '../../src/commands/door.ts';
import { Dispatcher } from '../../src/effects/dispatcher.ts';
import type { EffectQueue } from '../../src/effects/effect-queue.ts';
import { Sweeper } from '../../src/effects/sweeper.ts';
import type { EffectIntent } from '../../src/events/effects.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type BoxId, defaultTenant, type EffectId, effectId, type HostId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { createPlane, type Plane, silent, someProcess } from '../support/plane.ts';

let plane: Plane;
let host: HostId;
beforeAll(async () => {
  plane = await createPlane();
});
afterAll(() => plane.close());
beforeEach(() => {
  host = randomIds.hostId();
  plane.dispatching = false;
});
afterEach(() => {
  plane.dispatching = true;
});

const booted = { process: someProcess, stagesMs: {}, tookOver: false };
const effectOf = async (box: BoxId): Promise<EffectId> => {
  const { effect } = await plane.view(box);
  if (effect === null) throw new Error('no effect');
  return effect.effectId;
};
const passDeadline = (id: EffectId) =>
  plane.store.pool.query(
    `UPDATE boxledger.effects SET deadline = now() - interval '1 second' WHERE effect_id = $1`,
    [id],
  );

test('what was committed and never enqueued, because the process died in between, is enqueued', async () => {
  await plane.runner(host, {}).start();
  const box = await plane.startingBox(host);
  await plane.sweeper.sweep(0);
  await plane.until(box, 'running');
});

test('what the queue lost is enqueued again, and not before it is due to be', async () => {
  const box = await plane.startingBox(host);
  await plane.sweeper.sweep(0);
  expect(await plane.queue.depth(host)).toBe(1);
  await plane.store.pool.query('DELETE FROM boxledger_queue.job');
  await plane.sweeper.sweep(60_000);
  expect(await plane.queue.depth(host)).toBe(0);
  await plane.sweeper.sweep(0);
  expect(await plane.queue.depth(host)).toBe(1);
  await plane.runner(host, {}).start();
  await plane.until(box, 'running');
});

test('a sweep with nothing to do tells the queue nothing', async () => {
  const told: unknown[] = [];
  const queue: EffectQueue = {
    enqueue: async (effects) => {
      told.push(effects);
    },
    consume: () => Promise.reject(new Error('not here')),
    close: async () => undefined,
  };
  const { store, door } = plane;
  await plane.sweeper.sweep(0);
  await new Sweeper({ outbox: store.outbox, queue, door, log: silent }).sweep(60_000);
  expect(told).toEqual([]);
});

test('a deadline that nobody reported is the outcome, with the sweeper as its actor', async () => {
  const box = await plane.startingBox(host);
  await passDeadline(await effectOf(box));
  await plane.sweeper.sweep();
  const { failure } = await plane.until(box, 'failed');
  expect(failure?.code).toBe('DeadlineExceeded');
});

test('an outcome that comes after the sweeper has reported the deadline is not heard', async () => {
  const [open, started] = [gate(), gate()];
  const ended: unknown[] = [];
  const handlers = {
    'vm.boot': async () => {
      started.open();
      await open.passed;
      return booted;
    },
  };
  await plane.runner(host, handlers, { onEnd: (_intent, view) => ended.push(view) }).start();
  const box = await plane.startingBox(host);
  await plane.sweeper.sweep(0);
  await started.passed;
  await passDeadline(await effectOf(box));
  await plane.sweeper.sweep();
  await plane.until(box, 'failed');
  open.open();
  await eventually('the late outcome is refused', () => ended.length === 1);
  expect(ended).toEqual([null]);
  expect((await plane.view(box)).state).toBe('failed');
});

test('deadlines that pass while the queue is away are reported', async () => {
  const box = await plane.startingBox(host);
  await passDeadline(await effectOf(box));
  const away: EffectQueue = {
    enqueue: () => Promise.reject(new BoxledgerError('Unavailable', 'the queue is away')),
    consume: () => Promise.reject(new Error('not here')),
    close: async () => undefined,
  };
  const { store, door } = plane;
  const sweeper = new Sweeper({ outbox: store.outbox, queue: away, door, log: silent });
  await expect(sweeper.sweep(0)).rejects.toMatchObject({ code: 'Unavailable' });
  expect((await plane.view(box)).state).toBe('failed');
});

test('a deadline that cannot be reported holds up no other', async () => {
  const [stuck, other] = [await plane.startingBox(host), await plane.startingBox(host)];
  await passDeadline(await effectOf(stuck));
  await passDeadline(await effectOf(other));
  const { store, door, queue } = plane;
  const faulty: CommandDoor = {
    submit: async (command, meta) => {
      if ('boxId' in command && command.boxId === stuck)
        throw new BoxledgerError('Internal', 'this box cannot be decided on');
      return door.submit(command, meta);
    },
  };
  await new Sweeper({ outbox: store.outbox, queue, door: faulty, log: silent, leaseMs: 1 }).sweep();
  expect((await plane.view(other)).state).toBe('failed');
  await eventually('the other is taken again', async () => {
    await plane.sweeper.sweep();
    return (await plane.view(stuck)).state === 'failed';
  });
});

test('two sweepers report a deadline once', async () => {
  const box = await plane.startingBox(host);
  await passDeadline(await effectOf(box));
  const { store, door, queue } = plane;
  const other = new Sweeper({ outbox: store.outbox, queue, door, log: silent });
  await Promise.all([plane.sweeper.sweep(), other.sweep()]);
  expect(await plane.eventTypes(box)).toEqual(['box.created', 'box.startRequested', 'box.startFailed']);
});

test('a running sweeper sweeps at once and again, whatever one sweep ran into', async () => {
  let failures = 2;
  const { store, door, queue } = plane;
  const flaky: EffectQueue = {
    enqueue: async (effects) => {
      if (failures > 0) {
        failures -= 1;
        throw new BoxledgerError('Unavailable', 'no queue');
      }
      await queue.enqueue(effects);
    },
    consume: queue.consume.bind(queue),
    close: async () => undefined,
  };
  await plane.runner(host, {}).start();
  const box = await plane.startingBox(host);
  const sweeper = new Sweeper({
    outbox: store.outbox,
    queue: flaky,
    door,
    log: silent,
    intervalMs: 10,
    // What a failed sweep took is not left alone for so long.
    enqueueAgainAfterMs: 600_000,
  });
  sweeper.start();
  await plane.until(box, 'running');
  expect(failures).toBe(0);

  const late = await plane.startingBox(host);
  sweeper.refill();
  await plane.until(late, 'running');
  await sweeper.close();
});

test('a dispatcher whose queue is gone neither throws nor waits, but tells that something was left', async () => {
  const left = gate();
  const queue: EffectQueue = {
    enqueue: () => Promise.reject(new BoxledgerError('Unavailable', 'no queue')),
    consume: () => Promise.reject(new Error('not here')),
    close: async () => undefined,
  };
  const dispatcher = new Dispatcher({
    queue,
    clock: systemClock,
    log: silent,
    crash: noCrash,
    onLeft: left.open,
  });
  const boxId = randomIds.boxId();
  const intent: EffectIntent = {
    effectId: effectId(`${boxId}-1-disk.remove`),
    tenant: defaultTenant,
    boxId,
    generation: 0,
    placement: { hostId: host, epoch: 1 },
    notBefore: null,
    deadline: systemClock.now(),
    kind: 'disk.remove',
    args: {},
  };
  dispatcher.dispatch([intent]);
  await left.passed;
  await dispatcher.idle();
});
