import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSimDriver, type SimDriver } from '../../src/drivers/sim-driver.ts';
import { SimWorld } from '../../src/drivers/sim-world.ts';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import type { EffectQueue } from '../../src/effects/effect-queue.ts';
import { postgresCarrier } from '../../src/effects/postgres-carrier.ts';
import type { Exit } from '../../src/events/process.ts';
import type { Host, HostOptions } from '../../src/hosts/host.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type BoxId, boxStream, type HostId, hostStream, noVersion } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { hostsOn } from '../support/host-under-test.ts';
import { createPlane, flakyDoor, type Plane, silent } from '../support/plane.ts';

let plane: Plane;
let hostId: HostId;
let world: SimWorld;
let driver: SimDriver;
const hosts = hostsOn(() => plane);

beforeAll(async () => {
  plane = await createPlane();
  plane.sweeper.start();
});
afterAll(() => plane.close());
beforeEach(() => {
  hostId = randomIds.hostId();
  world = new SimWorld();
  driver = createSimDriver({ world });
});
afterEach(async () => {
  plane.dispatching = true;
  plane.onOverdue = () => undefined;
});

const start = (options: Partial<HostOptions> = {}) => hosts.start(hostId, options.driver ?? driver, options);
const stopHost = hosts.stop;
const runningBox = async (host: Host) => {
  const box = await plane.startingBox(hostId, host.epoch);
  return plane.until(box, 'running');
};
const lastEvent = async (box: BoxId) =>
  (await plane.store.log.readStream(boxStream(box), noVersion, 100)).at(-1);
const passDeadline = (boxId: BoxId) =>
  plane.store.pool.query(
    `UPDATE boxledger.effects SET deadline = now() - interval '1 second' WHERE box_id = $1 AND open`,
    [boxId],
  );
const exited: Exit = { kind: 'code', code: 7 };

test('a host joins with a new epoch each time and says when it leaves', async () => {
  const first = await start();
  await stopHost(first);
  const second = await start();
  expect([first.epoch, second.epoch]).toEqual([1, 2]);
  const events = await plane.store.log.readStream(hostStream(hostId), noVersion, 10);
  expect(events.map(({ type }) => type)).toEqual(['host.joined', 'host.left', 'host.joined']);
});

test('a box lives its whole life on a host', async () => {
  const host = await start();
  const { boxId } = await runningBox(host);
  await plane.submit({ type: 'box.pause', boxId });
  await plane.until(boxId, 'paused');
  expect(await driver.observe(boxId)).toMatchObject({ frozen: true });
  await plane.submit({ type: 'box.resume', boxId });
  await plane.until(boxId, 'running');
  await plane.submit({ type: 'box.stop', boxId });
  await plane.until(boxId, 'stopped');
  await plane.submit({ type: 'box.start', boxId, placement: { hostId, epoch: host.epoch } });
  expect((await plane.until(boxId, 'running')).generation).toBe(2);
  await plane.submit({ type: 'box.remove', boxId, force: true });
  await plane.until(boxId, 'removed');
  expect(await driver.list()).toEqual([]);
  expect(await plane.eventTypes(boxId)).toEqual([
    'box.created',
    'box.startRequested',
    'box.started',
    'box.pauseRequested',
    'box.paused',
    'box.resumeRequested',
    'box.resumed',
    'box.stopRequested',
    'box.stopped',
    'box.startRequested',
    'box.started',
    'box.stopRequested',
    'box.stopped',
    'box.removeRequested',
    'box.removed',
  ]);
});

test('a box that ends by itself is seen live, with its exit code', async () => {
  const { boxId } = await runningBox(await start());
  driver.exit(boxId, exited);
  expect((await plane.until(boxId, 'stopped')).exit).toEqual(exited);
  expect(await plane.eventTypes(boxId)).toEqual([
    'box.created',
    'box.startRequested',
    'box.started',
    'box.exited',
  ]);
});

test('a box that ended while its host was away is the same event, found at the next start', async () => {
  const live = await start();
  const one = await runningBox(live);
  const other = await runningBox(live);
  driver.exit(one.boxId, exited);
  await plane.until(one.boxId, 'stopped');
  await stopHost(live);
  driver.exit(other.boxId, exited);
  await start();
  await plane.until(other.boxId, 'stopped');
  const [seen, found] = [await lastEvent(one.boxId), await lastEvent(other.boxId)];
  const said = (event: typeof seen) => event && [event.type, event.data, event.actor];
  expect(said(found)).toEqual(said(seen));
});

test('a box that runs on while its host is away is taken over, and its end seen', async () => {
  const first = await start();
  const { boxId, process } = await runningBox(first);
  await stopHost(first);
  expect((await driver.observe(boxId)).kind).toBe('running');
  await start();
  expect(await plane.view(boxId)).toMatchObject({ state: 'running', process });
  driver.exit(boxId, exited);
  await plane.until(boxId, 'stopped');
});

test('a box that is gone without a trace has ended, nobody knows how', async () => {
  const first = await start();
  const { boxId } = await runningBox(first);
  await stopHost(first);
  world.remove(boxId);
  await start();
  expect((await plane.until(boxId, 'stopped')).exit).toEqual({ kind: 'unknown' });
});

test('a box that runs and should not is ended; of one that was removed, nothing stays', async () => {
  const first = await start();
  const [stopped, removed] = [await runningBox(first), await runningBox(first)];
  await plane.submit({ type: 'box.stop', boxId: stopped.boxId });
  await plane.until(stopped.boxId, 'stopped');
  await plane.submit({ type: 'box.remove', boxId: removed.boxId, force: true });
  await plane.until(removed.boxId, 'removed');
  await stopHost(first);
  const stranger = randomIds.boxId();
  for (const boxId of [stopped.boxId, removed.boxId, stranger])
    world.set(boxId, { disk: {}, pid: world.newPid(), generation: 1, state: 'running' });
  await start();
  expect((await driver.observe(stopped.boxId)).kind).toBe('ended');
  expect((await driver.observe(stranger)).kind).toBe('ended');
  expect(new Set(await driver.list())).toEqual(new Set([stopped.boxId, stranger]));
});

test('a freeze that outlived whoever held it is taken back, and one that was lost is made good', async () => {
  const first = await start();
  const [runs, paused] = [await runningBox(first), await runningBox(first)];
  await plane.submit({ type: 'box.pause', boxId: paused.boxId });
  await plane.until(paused.boxId, 'paused');
  await stopHost(first);
  world.set(runs.boxId, { state: 'frozen' });
  world.set(paused.boxId, { state: 'running' });
  await start();
  expect(await driver.observe(runs.boxId)).toMatchObject({ frozen: false });
  expect(await driver.observe(paused.boxId)).toMatchObject({ frozen: true });
});

test('what an earlier life of the host was in the middle of is begun again at once', async () => {
  const started = gate();
  const stuck = createSimDriver({ world });
  Object.assign(stuck, {
    boot: () => {
      started.open();
      return new Promise(() => undefined);
    },
  });
  const queue = new BullmqEffectQueue(await postgresCarrier(plane.store.databaseUrl, silent), {
    log: silent,
  });
  const died = await start({ driver: stuck, queue });
  const boxId = await plane.startingBox(hostId, died.epoch);
  await started.passed;
  // It takes no more work, and its claim, lease and epoch stay as a kill -9 leaves them.
  await queue.close();
  await start();
  expect((await plane.until(boxId, 'running')).generation).toBe(1);
});

test('a boot that went on behind the log is ended, whatever it had brought up', async () => {
  const [started, open] = [gate(), gate()];
  const slow = createSimDriver({ world });
  const boot = slow.boot.bind(slow);
  Object.assign(slow, {
    boot: async (...args: Parameters<typeof boot>) => {
      started.open();
      await open.passed;
      return boot(args[0], new AbortController().signal);
    },
  });
  const host = await start({ driver: slow });
  const boxId = await plane.startingBox(hostId, host.epoch);
  await started.passed;
  await passDeadline(boxId);
  await plane.until(boxId, 'failed');
  open.open();
  await eventually('what the late boot brought up has ended', async () => {
    const found = await driver.observe(boxId);
    return found.kind === 'ended';
  });
});

test('what a dead life of the host had brought up is ended, if the deadline was reported before anybody took it over', async () => {
  const host = await start();
  plane.onOverdue = (boxId) => host.look(boxId);
  plane.dispatching = false;
  const boxId = await plane.startingBox(hostId, host.epoch);
  const { name, options, generation } = await plane.view(boxId);
  await driver.boot({ boxId, name, options, generation }, new AbortController().signal);
  await passDeadline(boxId);
  await plane.until(boxId, 'failed');
  await eventually('what nobody waits for has ended', async () => {
    const found = await driver.observe(boxId);
    return found.kind === 'ended';
  });
});

test('a pause that was half done when its deadline was reported is taken back', async () => {
  const host = await start();
  plane.onOverdue = (boxId) => host.look(boxId);
  const { boxId, process } = await runningBox(host);
  if (process === null) throw new Error('a running box has a process');
  plane.dispatching = false;
  await plane.submit({ type: 'box.pause', boxId });
  await driver.freeze(boxId, process);
  await passDeadline(boxId);
  await plane.until(boxId, 'running');
  await eventually('the box is not frozen', async () => {
    const found = await driver.observe(boxId);
    return found.kind === 'running' && !found.frozen;
  });
});

test('a host waits for a database that is away', async () => {
  const away = new BoxledgerError('Unavailable', 'the database is away');
  const host = await start({ door: flakyDoor(plane.door, 3, 'before', away) });
  await runningBox(host);
});

test('an end is reported once the database is back', async () => {
  const away = new BoxledgerError('Unavailable', 'the database is away');
  let isAway = false;
  const host = await start({
    door: {
      submit: (command, commandMeta) =>
        isAway ? Promise.reject(away) : plane.door.submit(command, commandMeta),
    },
  });
  const { boxId } = await runningBox(host);
  isAway = true;
  driver.exit(boxId, exited);
  expect((await plane.view(boxId)).state).toBe('running');
  isAway = false;
  await plane.until(boxId, 'stopped');
});

test('an end that could not be waited for is waited for again', async () => {
  const flaky = createSimDriver({ world });
  const ended = flaky.ended.bind(flaky);
  let failures = 2;
  Object.assign(flaky, {
    ended: (...args: Parameters<typeof ended>) => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error('too many open files')) : ended(...args);
    },
  });
  const host = await start({ driver: flaky });
  const { boxId } = await runningBox(host);
  driver.exit(boxId, exited);
  expect((await plane.until(boxId, 'stopped')).exit).toEqual(exited);
});

test('a box that could not be dealt with at the start is dealt with later', async () => {
  const first = await start();
  const { boxId } = await runningBox(first);
  await stopHost(first);
  driver.exit(boxId, exited);
  const flaky = createSimDriver({ world });
  const observe = flaky.observe.bind(flaky);
  let failures = 3;
  Object.assign(flaky, {
    observe: (...args: Parameters<typeof observe>) => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error('too many open files')) : observe(...args);
    },
  });
  await start({ driver: flaky });
  expect((await plane.until(boxId, 'stopped')).exit).toEqual(exited);
});

test('a start that fails after it has looked at its boxes waits for the end of none', async () => {
  const first = await start();
  await runningBox(first);
  await stopHost(first);
  const waited: AbortSignal[] = [];
  const watched = createSimDriver({ world });
  const ended = watched.ended.bind(watched);
  Object.assign(watched, {
    ended: (...args: Parameters<typeof ended>) => {
      waited.push(args[2]);
      return ended(...args);
    },
  });
  const broken: EffectQueue = {
    enqueue: (effects) => plane.queue.enqueue(effects),
    consume: () => Promise.reject(new Error('not to be had, ever')),
    close: async () => undefined,
  };
  const starting = start({ driver: watched, queue: broken });
  await expect(starting).rejects.toThrow('not to be had, ever');
  expect(waited.map(({ aborted }) => aborted)).toEqual([true]);
});

test('a start that is given up while the database is away ends', async () => {
  const giveUp = new AbortController();
  const asked = gate();
  const starting = start({
    signal: giveUp.signal,
    door: {
      submit: () => {
        asked.open();
        return Promise.reject(new BoxledgerError('Unavailable', 'the database is away'));
      },
    },
  });
  await asked.passed;
  giveUp.abort();
  await expect(starting).rejects.toThrow();
});
