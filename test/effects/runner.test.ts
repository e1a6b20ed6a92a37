import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { boxStream, type HostId, noVersion, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { createPlane, instantHandlers, type Plane, someProcess, untilAborted } from '../support/plane.ts';

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

const booted = { process: someProcess, stagesMs: {}, tookOver: false };

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
  const events = await plane.store.log.readStream(boxStream(box), noVersion, 100);
  expect(events.filter(({ actor }) => actor.kind === 'system').map(({ type }) => type)).toEqual([
    'box.started',
    'box.paused',
    'box.resumed',
    'box.stopped',
    'box.removed',
  ]);
  const [, asked, started] = events;
  expect(started).toMatchObject({
    actor: { kind: 'system', id: `host/${host}` },
    causationId: effect?.effectId,
    correlationId: asked?.correlationId,
  });
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

test('a copy of a disk that finds no room is a failure at once, and not for as long as it may take', async () => {
  await plane
    .runner(host, {
      'disk.snapshot': async () => {
        throw new BoxledgerError('ResourceExhausted', 'no space left');
      },
    })
    .start();
  const boxId = await plane.startingBox(host);
  await plane.until(boxId, 'running');
  const named = { snapshotId: snapshotId('sn_0000000000000000'), name: 'one' } as const;
  await plane.submit({ type: 'box.snapshot', boxId, ...named, consistency: 'best-effort' });
  const failed = await eventually('it has failed', async () =>
    (await plane.events(boxId)).find(({ type }) => type === 'box.snapshotFailed'),
  );
  expect(failed.data).toMatchObject({ failure: { code: 'ResourceExhausted' } });
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

test('a stop overtakes also when every place is taken by what it overtakes', async () => {
  const started = gate();
  await plane
    .runner(
      host,
      {
        'vm.boot': async (_args, context) => {
          started.open();
          return untilAborted(context);
        },
      },
      { concurrency: 1 },
    )
    .start();
  const box = await plane.startingBox(host);
  await started.passed;
  await plane.submit({ type: 'box.stop', boxId: box });
  await plane.until(box, 'stopped');
});

test('each point at which the process may die is passed once, in order, with the kind of the effect', async () => {
  const passed: string[] = [];
  await plane.runner(host, {}, { crash: (point, kind) => passed.push(`${point}:${kind}`) }).start();
  const box = await plane.startingBox(host);
  await plane.until(box, 'running');
  await eventually('the last point is passed', () => passed.length === 5);
  expect(passed).toEqual([
    'claim.before:vm.boot',
    'claim.after:vm.boot',
    'effect.before:vm.boot',
    'effect.after:vm.boot',
    'outcome.after:vm.boot',
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
