import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSimDriver, type SimDriver, type SimOptions } from '../../src/drivers/sim-driver.ts';
import { SimWorld } from '../../src/drivers/sim-world.ts';
import { directoryBoxes } from '../../src/hosts/host-boxes.ts';
import { Leftovers } from '../../src/hosts/leftovers.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type BoxId, defaultTenant, exportId, type HostId, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { manifestInput } from '../drivers/support/forged-archive.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';
import { hostsOn } from '../support/host-under-test.ts';
import { createPlane, type Plane, silent } from '../support/plane.ts';

let plane: Plane;
let hostId: HostId;
let world: SimWorld;
const hosts = hostsOn(() => plane);
const unhurried = { signal: new AbortController().signal };

beforeAll(async () => {
  plane = await createPlane();
  plane.sweeper.start();
});
afterAll(() => plane.close());
beforeEach(() => {
  hostId = randomIds.hostId();
  world = new SimWorld();
});

const driverThat = (options: SimOptions = {}): SimDriver => createSimDriver({ world, ...options });
const start = (driver: SimDriver) => hosts.start(hostId, driver);
const stoppedBox = async (epoch: number) => {
  const boxId = await plane.startingBox(hostId, epoch);
  await plane.until(boxId, 'running');
  await plane.submit({ type: 'box.stop', boxId });
  await plane.until(boxId, 'stopped');
  return boxId;
};
const scratch = snapshotId('sn_0000000000000009');
const snapshotsOf = (boxId: BoxId) => Object.keys(world.get(boxId).snapshots);
const cloneOf = async (boxId: BoxId, clone = randomIds.boxId()) => {
  await plane.submit({
    type: 'box.clone',
    boxId,
    clones: [{ boxId: clone, name: clone }],
    consistency: 'best-effort',
  });
  return clone;
};
const broken = new BoxledgerError('Internal', 'the disk is broken');

test('a snapshot that is no snapshot of its box goes at the start; those of the box stay', async () => {
  const first = await start(driverThat());
  const boxId = await stoppedBox(first.epoch);
  const kept = snapshotId('sn_0000000000000001');
  await plane.submit({
    type: 'box.snapshot',
    boxId,
    snapshotId: kept,
    name: 'kept',
    consistency: 'required',
  });
  await eventually('it is kept', async () => (await plane.view(boxId)).snapshots.length === 1);
  await hosts.stop(first);
  await driverThat().snapshotDisk(boxId, scratch, unhurried);
  expect(snapshotsOf(boxId)).toEqual([kept, scratch]);
  await start(driverThat());
  expect(snapshotsOf(boxId)).toEqual([kept]);
});

test('a snapshot that an effect in flight is making stays', async () => {
  const first = await start(driverThat());
  const boxId = await stoppedBox(first.epoch);
  await hosts.stop(first);
  plane.dispatching = false;
  const making = snapshotId('sn_0000000000000002');
  await plane.submit({
    type: 'box.snapshot',
    boxId,
    snapshotId: making,
    name: 'two',
    consistency: 'required',
  });
  await driverThat().snapshotDisk(boxId, making, unhurried);
  const leftovers = new Leftovers({
    driver: driverThat(),
    boxes: directoryBoxes(plane.store.boxes, defaultTenant),
    log: silent,
  });
  await leftovers.clearSnapshots(await plane.view(boxId));
  expect(snapshotsOf(boxId)).toEqual([making]);
  plane.dispatching = true;
  plane.sweeper.refill();
  await start(driverThat());
  await eventually('it is kept', async () => (await plane.view(boxId)).snapshots.length === 1);
  expect(snapshotsOf(boxId)).toEqual([making]);
});

test('what a clone that failed leaves of snapshots and disks goes at once', async () => {
  let isBroken = true;
  const driver = driverThat({
    fail: (operation) => (operation === 'removeDisk' && isBroken ? broken : undefined),
  });
  const clone = driver.cloneDisk;
  Object.assign(driver, {
    cloneDisk: async (...asked: Parameters<typeof clone>) => {
      await clone(...asked);
      throw broken; // with its disk made, which then cannot be removed
    },
  });
  const host = await start(driver);
  const boxId = await stoppedBox(host.epoch);
  const cloned = await cloneOf(boxId);
  await eventually('the clone has failed', async () => (await plane.view(boxId)).operation === null);
  expect(await plane.eventTypes(boxId)).toContain('box.cloneFailed');
  isBroken = false;
  await eventually('nothing of the clone is left', async () => !(await driver.list()).includes(cloned));
  expect(snapshotsOf(boxId)).toEqual([]);
});

test('the disk of a clone whose box did not come about goes at the start; of one that did it stays', async () => {
  const first = await start(driverThat());
  const boxId = await stoppedBox(first.epoch);
  const cloned = await cloneOf(boxId);
  await eventually('it is there', async () => (await plane.view(boxId)).operation === null);
  await hosts.stop(first);
  const [driver, lost] = [driverThat(), randomIds.boxId()];
  await driver.snapshotDisk(boxId, scratch, unhurried);
  await driver.cloneDisk({ boxId, snapshotId: scratch }, lost, unhurried);
  await start(driver);
  expect((await driver.list()).toSorted()).toEqual([boxId, cloned].toSorted());
});

test('the disk of a clone that is being made stays, and so does one whose parent belongs to another log', async () => {
  const first = await start(driverThat());
  const boxId = await stoppedBox(first.epoch);
  await hosts.stop(first);
  const [reached, open] = [gate(), gate()];
  const slow = driverThat();
  const clone = slow.cloneDisk;
  Object.assign(slow, {
    cloneDisk: async (...asked: Parameters<typeof clone>) => {
      reached.open();
      await open.passed;
      return clone(...asked);
    },
  });
  const stranger = randomIds.boxId();
  world.set(stranger, { disk: {} });
  await slow.snapshotDisk(stranger, scratch, unhurried);
  const [ofStranger, cloned] = [randomIds.boxId(), randomIds.boxId()];
  await clone({ boxId: stranger, snapshotId: scratch }, ofStranger, unhurried);
  plane.dispatching = false;
  await cloneOf(boxId, cloned);
  await driverThat().snapshotDisk(boxId, scratch, unhurried);
  await clone({ boxId, snapshotId: scratch }, cloned, unhurried);
  plane.dispatching = true;
  plane.sweeper.refill();
  const host = await start(slow);
  expect(await slow.list()).toEqual(expect.arrayContaining([boxId, stranger, ofStranger, cloned]));
  host.look(cloned);
  await reached.passed;
  expect(await slow.list()).toContain(cloned);
  open.open();
});

test('exports of an earlier process go at the start', async () => {
  const driver = driverThat();
  const first = await start(driver);
  const boxId = await stoppedBox(first.epoch);
  await driver.snapshotDisk(boxId, scratch, unhurried);
  const left = exportId('xp_0000000000000001');
  await driver.exportDisk({ boxId, snapshotId: scratch }, left, manifestInput, unhurried);
  await hosts.stop(first);
  await start(driver);
  expect(await driver.listExports()).toEqual([]);
});

test('a box that is found frozen after a snapshot that failed is let go', async () => {
  let failures = 1;
  const driver = driverThat({
    fail: (operation) => {
      if (operation !== 'unfreeze' || failures === 0) return undefined;
      failures -= 1;
      return new BoxledgerError('Internal', 'it does not move');
    },
  });
  const keep = driver.snapshotDisk;
  Object.assign(driver, {
    snapshotDisk: (...asked: Parameters<typeof keep>) => keep(...asked).then(() => Promise.reject(broken)),
  });
  const host = await start(driver);
  const boxId = await plane.startingBox(hostId, host.epoch);
  await plane.until(boxId, 'running');
  await plane.submit({
    type: 'box.snapshot',
    boxId,
    snapshotId: scratch,
    name: 'x',
    consistency: 'best-effort',
  });
  await eventually('the snapshot has failed', async () => (await plane.view(boxId)).operation === null);
  await eventually('it runs', () => world.get(boxId).state === 'running');
  await eventually('nothing of the snapshot is left', () => snapshotsOf(boxId).length === 0);
});
