import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSimDriver } from '../../src/drivers/sim-driver.ts';
import { SimWorld } from '../../src/drivers/sim-world.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type DriverHarness, driverContract, processTraits } from '../contract/driver.ts';
import { driverDisksContract } from '../contract/driver-disks.ts';
import { never, newBoxId, specOf } from './support/spec.ts';

const openSimHarness = async (): Promise<DriverHarness> => {
  const world = new SimWorld();
  const driver = createSimDriver({ world });
  return {
    driver,
    traits: processTraits,
    another: async () => createSimDriver({ world }),
    exitByItself: async (box, code) => driver.exit(box, { kind: 'code', code }),
    writeDisk: async (box, name, text) => world.set(box, { disk: { ...world.get(box).disk, [name]: text } }),
    readDisk: async (box, name) => world.get(box).disk?.[name],
    leavings: async () => [],
    close: async () => undefined,
  };
};

driverContract('the sim driver', openSimHarness);
driverDisksContract('the sim driver', openSimHarness);

test('a simulated box survives its process by the journal', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-sim-'));
  try {
    const journal = join(directory, 'journal');
    const [one, other] = [newBoxId(), newBoxId()];
    const before = createSimDriver({ world: new SimWorld(journal) });
    const { process } = await before.boot(specOf(one), never);
    await before.freeze(one, process);
    await before.boot(specOf(other), never);
    await before.removeDisk(other).catch((error: unknown) => expect(error).toBeInstanceOf(BoxledgerError));
    await before.kill(other);
    await before.removeDisk(other);
    const after = createSimDriver({ world: new SimWorld(journal) });
    expect(await after.list()).toEqual([one]);
    expect(await after.observe(one)).toEqual({ kind: 'running', generation: 1, process, frozen: true });
    expect((await after.boot(specOf(other), never)).process.pid).toBeGreaterThan(process.pid);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('an injected failure is thrown, and the box is as it was', async () => {
  const failing = new BoxledgerError('Unavailable', 'as the test wants it');
  let fail = true;
  const driver = createSimDriver({
    fail: (operation) => (fail && operation === 'boot' ? failing : undefined),
  });
  const id = newBoxId();
  expect(await driver.boot(specOf(id), never).catch((error: unknown) => error)).toBe(failing);
  expect(await driver.observe(id)).toEqual({ kind: 'absent' });
  fail = false;
  expect((await driver.boot(specOf(id), never)).tookOver).toBe(false);
});

test('a boot that takes its time can be aborted meanwhile', async () => {
  const driver = createSimDriver({ latencyMs: { boot: 60_000 } });
  const stop = new AbortController();
  const id = newBoxId();
  const booting = driver.boot(specOf(id), stop.signal).catch((error: unknown) => error);
  const reason = new Error('stopped');
  stop.abort(reason);
  expect(await booting).toBe(reason);
  expect(await driver.observe(id)).toEqual({ kind: 'absent' });
});
