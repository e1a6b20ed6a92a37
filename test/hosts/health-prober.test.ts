import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSimDriver, type SimDriver } from '../../src/drivers/sim-driver.ts';
import { SimWorld } from '../../src/drivers/sim-world.ts';
import type { BoxOptions } from '../../src/events/box-options.ts';
import type { ExecOutput, Guest } from '../../src/guest/guest.ts';
import { GuestRegistry } from '../../src/hosts/guests.ts';
import { overheardDoor } from '../../src/hosts/overheard-door.ts';
import type { BoxId, HostId } from '../../src/kernel/ids.ts';
import { defaultTenant, snapshotId } from '../../src/kernel/ids.ts';
import { limits } from '../../src/kernel/limits.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { type HostUnderTest, hostsOn } from '../support/host-under-test.ts';
import { createPlane, meta, type Plane } from '../support/plane.ts';
import { scriptedGuest, unavailable } from '../support/scripted-guest.ts';

let plane: Plane;
let hostId: HostId;
let driver: SimDriver;
const hosts = hostsOn(() => plane);

beforeAll(async () => {
  plane = await createPlane();
  plane.sweeper.start();
});
afterAll(() => plane.close());
beforeEach(() => {
  hostId = randomIds.hostId();
  driver = createSimDriver({ world: new SimWorld() });
});

const check = { command: ['check'], intervalMs: 100, timeoutMs: 200, retries: 2, startPeriodMs: 0 };
type HealthCheck = NonNullable<BoxOptions['healthCheck']>;

/** A host whose boxes have the guest. */
const startWith = (guest: Guest | undefined) => {
  if (guest !== undefined) Object.assign(driver, { guestAddress: () => 'unix:/nowhere' });
  return hosts.start(
    hostId,
    driver,
    guest === undefined ? {} : { guests: new GuestRegistry(driver, () => guest) },
  );
};
const runningBox = async (host: HostUnderTest, change: Partial<HealthCheck> = {}) => {
  const boxId = await plane.startingBox(hostId, host.epoch, { healthCheck: { ...check, ...change } });
  await plane.until(boxId, 'running');
  return boxId;
};
const untilHealth = (boxId: BoxId, health: string) =>
  eventually(`${boxId} is ${health}`, async () => {
    const view = await plane.view(boxId);
    return view.health === health && view;
  });
const changesOf = async (boxId: BoxId) =>
  (await plane.events(boxId)).flatMap((event) =>
    event.type === 'box.healthChanged' ? [event.data.health] : [],
  );
type Exec = Guest['exec'];
/** A guest that answers, also when it is asked by a boot, and runs commands as the test says. */
const guestRunning = (exec: Exec): Guest => ({ ...scriptedGuest(), exec });
const runOf = (outputs: () => AsyncIterable<ExecOutput>): ReturnType<Exec> => ({
  send: async () => undefined,
  [Symbol.asyncIterator]: () => outputs()[Symbol.asyncIterator](),
});
const figures = { durationMs: 1, stdoutBytes: 0, stderrBytes: 0 };
const exitedWith = (code: number, text: string) =>
  runOf(async function* () {
    yield { kind: 'started', pid: 7 };
    yield { kind: 'stderr', data: Buffer.from(text) };
    yield { kind: 'exited', exit: { kind: 'code', code }, timedOut: false, ...figures };
  });
/** A guest whose checks succeed as long as `isWell` says so. */
const guestThat = (isWell: (boxId: string | undefined) => boolean) => {
  let asked = 0;
  const guest = guestRunning((_execId, _spec, { env }) => {
    asked += 1;
    return exitedWith(isWell(env['BOXLEDGER_BOX_ID']) ? 0 : 1, '');
  });
  const probed = (times: number) => {
    const until = asked + times;
    return eventually(`${times} more probes`, () => asked >= until);
  };
  return { guest, probed, count: () => asked };
};

test('probing goes on when a box is unhealthy, and only changes are events (10)', async () => {
  let isWell = true;
  const { guest, probed } = guestThat(() => isWell);
  const boxId = await runningBox(await startWith(guest));
  await untilHealth(boxId, 'healthy');
  await probed(4);
  expect(await changesOf(boxId)).toEqual(['healthy']);
  isWell = false;
  await untilHealth(boxId, 'unhealthy');
  await probed(4);
  isWell = true;
  await untilHealth(boxId, 'healthy');
  expect(await changesOf(boxId)).toEqual(['healthy', 'unhealthy', 'healthy']);
});

test('without a command the guest is asked to answer', async () => {
  let isWell = true;
  const ping: Guest['ping'] = async () => {
    if (!isWell) throw unavailable();
    return { agentVersion: '0', pid: 1, hostname: 'box' };
  };
  const boxId = await runningBox(await startWith(scriptedGuest({ ping })), { command: [] });
  await untilHealth(boxId, 'healthy');
  isWell = false;
  await untilHealth(boxId, 'unhealthy');
  expect((await plane.events(boxId)).at(-1)).toMatchObject({
    actor: { kind: 'system', id: `host/${hostId}` },
    reason: '2 health checks in a row failed',
    data: { health: 'unhealthy', failure: { code: 'Unavailable' } },
  });
});

test('in its start period a box is not unhealthy', async () => {
  const { guest, probed } = guestThat(() => false);
  const host = await startWith(guest);
  const boxId = await runningBox(host, { startPeriodMs: 60_000 });
  await probed(5);
  expect((await plane.view(boxId)).health).toBe('starting');
  expect(await changesOf(boxId)).toEqual([]);
});

test('one probe of a box is under way at a time, and one that is not answered ends in time', async () => {
  let [underWay, most] = [0, 0];
  const guest = guestRunning((_execId, _spec, _defaults, signal) =>
    // biome-ignore lint/correctness/useYield: it is ended before it says anything
    runOf(async function* () {
      underWay += 1;
      most = Math.max(most, underWay);
      if (!signal.aborted) await once(signal, 'abort');
      underWay -= 1;
      throw signal.reason;
    }),
  );
  const boxId = await runningBox(await startWith(guest), { timeoutMs: 250 });
  await untilHealth(boxId, 'unhealthy');
  expect(most).toBe(1);
  const change = (await plane.events(boxId)).find(({ type }) => type === 'box.healthChanged');
  expect(change?.data).toMatchObject({ failure: { code: 'DeadlineExceeded' } });
});

test('a paused box is not asked, keeps its health, and is asked again once it runs', async () => {
  const { guest, probed, count } = guestThat(() => true);
  const host = await startWith(guest);
  const boxId = await runningBox(host);
  await untilHealth(boxId, 'healthy');
  await plane.submit({ type: 'box.pause', boxId });
  await plane.until(boxId, 'paused');
  const [other, before] = [await runningBox(host, { intervalMs: 60_000 }), count()];
  await untilHealth(other, 'healthy');
  expect(count()).toBeLessThanOrEqual(before + 1); // the other's own
  await plane.submit({ type: 'box.resume', boxId });
  await plane.until(boxId, 'running');
  expect((await plane.view(boxId)).health).toBe('healthy');
  await probed(2);
  expect(await changesOf(boxId)).toEqual(['healthy']);
});

test('a box that is held for a copy of its disk is not asked', async () => {
  const [copying, copied] = [gate(), gate()];
  const keep = driver.snapshotDisk;
  Object.assign(driver, {
    snapshotDisk: async (...asked: Parameters<typeof keep>) => {
      copying.open();
      await copied.passed;
      return keep(...asked);
    },
  });
  let held: string | undefined;
  let [ofHeld, ofOthers] = [0, 0];
  const { guest, probed } = guestThat((boxId) => {
    if (boxId !== held) ofOthers += 1;
    else ofHeld += 1;
    return boxId !== held;
  });
  const host = await startWith(guest);
  const [boxId, other] = [await runningBox(host, { retries: 1 }), await runningBox(host)];
  await untilHealth(boxId, 'healthy');
  await untilHealth(other, 'healthy');
  const door = overheardDoor(plane.door, host);
  const snapshot = { snapshotId: snapshotId('sn_0000000000000000'), name: 'one' } as const;
  await door.submit({ type: 'box.snapshot', boxId, ...snapshot, consistency: 'best-effort' }, meta);
  held = boxId;
  await copying.passed;
  const until = ofOthers + 5;
  await eventually('another box was asked often meanwhile', () => ofOthers >= until);
  expect(ofHeld).toBe(0);
  held = undefined;
  copied.open();
  await eventually('the snapshot is there', async () => (await plane.view(boxId)).snapshots.length === 1);
  await probed(5);
  expect(await changesOf(boxId)).toEqual(['healthy']);
});

test('a check that was recorded with longer times than a timer holds is neither asked all the time nor given none', async () => {
  const timeouts = new Map<string | undefined, unknown[]>();
  const asked = (boxId: string | undefined) => timeouts.get(boxId) ?? [];
  const guest = guestRunning((_execId, { timeoutMs }, { env }) => {
    const boxId = env['BOXLEDGER_BOX_ID'];
    timeouts.set(boxId, [...asked(boxId), timeoutMs]);
    return exitedWith(0, '');
  });
  const host = await startWith(guest);
  const long = limits.timerMaxMs;
  const slow = await runningBox(host, { intervalMs: long, timeoutMs: long });
  await untilHealth(slow, 'healthy');
  const other = await runningBox(host);
  await eventually('another box was asked often meanwhile', () => asked(other).length > 3);
  expect(asked(slow)).toEqual([limits.execTimeoutMaxMs]);
});

test('what was read of a box before it ended, and is heard after that, has nobody asked', async () => {
  let ended: BoxId | undefined;
  let [ofEnded, ofOthers] = [0, 0];
  const { guest } = guestThat((boxId) => {
    if (boxId === ended) ofEnded += 1;
    else ofOthers += 1;
    return true;
  });
  const host = await startWith(guest);
  const [boxId, other] = [await runningBox(host), await runningBox(host)];
  await untilHealth(boxId, 'healthy');
  await untilHealth(other, 'healthy');
  const found = await plane.store.boxes.find(defaultTenant, boxId);
  if (found.kind !== 'found') throw new Error(found.kind);
  await overheardDoor(plane.door, host).submit({ type: 'box.stop', boxId }, meta);
  await plane.until(boxId, 'stopped');
  ended = boxId;
  host.hear({ events: [], view: found.box.view, version: found.box.version });
  const until = ofOthers + 5;
  await eventually('another box was asked often meanwhile', () => ofOthers >= until);
  expect(ofEnded).toBe(0);
});

test('a restarted host goes on asking a box that it takes over', async () => {
  let isWell = true;
  const { guest } = guestThat(() => isWell);
  const first = await startWith(guest);
  const boxId = await runningBox(first);
  await untilHealth(boxId, 'healthy');
  await hosts.stop(first);
  await startWith(guest);
  isWell = false;
  await untilHealth(boxId, 'unhealthy');
  expect(await changesOf(boxId)).toEqual(['healthy', 'unhealthy']);
});

test('a command is run in the box with its environment, and its exit code decides', async () => {
  let code = 0;
  const asked: unknown[] = [];
  const guest = guestRunning((_execId, spec, defaults) => {
    asked.push({ spec, defaults });
    return exitedWith(code, 'no disk left');
  });
  const host = await startWith(guest);
  const boxId = await runningBox(host, { command: ['check', '--all'] });
  await untilHealth(boxId, 'healthy');
  expect(asked[0]).toMatchObject({
    spec: { command: 'check', args: ['--all'] },
    defaults: { env: { BOXLEDGER_BOX_ID: boxId } },
  });
  code = 3;
  await untilHealth(boxId, 'unhealthy');
  const change = (await plane.events(boxId)).at(-1);
  expect(change?.data).toMatchObject({
    failure: {
      message: 'the health check exited with code 3',
      details: { exit: { kind: 'code', code: 3 }, output: 'no disk left' },
    },
  });
  expect(await plane.store.execs.open(hostId, '', 10)).toEqual([]);
});

test('where there is no guest to ask, a box is healthy as long as its process is up', async () => {
  const boxId = await runningBox(await startWith(undefined), { command: ['never run'] });
  await untilHealth(boxId, 'healthy');
});

test('a box without a health check is not asked', async () => {
  const asked: unknown[] = [];
  const { guest } = guestThat((box) => asked.push(box) > 0);
  const host = await startWith(guest);
  const boxId = await plane.startingBox(hostId, host.epoch);
  await plane.until(boxId, 'running');
  await untilHealth(await runningBox(host), 'healthy');
  expect((await plane.view(boxId)).health).toBe('none');
  expect(await changesOf(boxId)).toEqual([]);
  expect(asked).not.toContain(boxId);
});
