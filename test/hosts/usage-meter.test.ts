import { expect, test } from 'vitest';
import type { ResourceUsage } from '../../src/events/box-usage.ts';
import { UsageMeter } from '../../src/hosts/usage-meter.ts';
import type { Clock } from '../../src/kernel/ports.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { silent } from '../support/plane.ts';

const meterOf = () => {
  let atMs = 1_000;
  let usage: ResourceUsage | undefined | Error;
  const clock: Clock = { now: () => timestampFromMs(atMs), monotonicMs: () => atMs };
  const driver = {
    usage: async () => {
      if (usage instanceof Error) throw usage;
      return usage;
    },
  };
  return {
    meter: new UsageMeter(driver, clock, silent),
    boxId: randomIds.boxId(),
    at: (ms: number, cpuMs: number | undefined) => {
      atMs = ms;
      usage = cpuMs === undefined ? undefined : { cpuMs, memoryBytes: 5, processes: 2 };
    },
    fails: () => {
      usage = new Error('no /proc');
    },
  };
};

test('processor time is a share of the time since the last measurement', async () => {
  const { meter, boxId, at } = meterOf();
  at(1_000, 100);
  await meter.note(boxId, 1);
  at(3_000, 1_100);
  expect(await meter.measure(boxId, 1)).toMatchObject({ cpuPercent: 50, cpuMs: 1_100, memoryBytes: 5 });
  at(4_000, 3_100);
  expect(await meter.measure(boxId, 1)).toMatchObject({ cpuPercent: 200 });
});

test('who asks again at once gets the share of a longer time, and not noise', async () => {
  const { meter, boxId, at } = meterOf();
  at(1_000, 0);
  await meter.note(boxId, 1);
  at(1_500, 250);
  expect(await meter.measure(boxId, 1)).toMatchObject({ cpuPercent: 50 });
  at(1_501, 251);
  expect((await meter.measure(boxId, 1))?.cpuPercent).toBeCloseTo(50, 0);
});

test('a measurement of an earlier start or of long ago is not compared with', async () => {
  const { meter, boxId, at } = meterOf();
  at(1_000, 5_000);
  await meter.note(boxId, 1);
  at(2_000, 10);
  await meter.note(boxId, 2);
  at(2_500, 260);
  expect(await meter.measure(boxId, 2)).toMatchObject({ cpuPercent: 50 });
  at(100_000, 400);
  expect(await meter.measure(boxId, 2)).toMatchObject({ cpuMs: 400, cpuPercent: undefined });
});

test('a box that does not run has its last figures, and one that never was measured has none', async () => {
  const { meter, boxId, at } = meterOf();
  at(1_000, undefined);
  expect(await meter.measure(boxId, 1)).toBeUndefined();
  at(2_000, 77);
  await meter.note(boxId, 1);
  at(9_000, undefined);
  expect(await meter.measure(boxId, 1)).toMatchObject({ cpuMs: 77, measuredAt: timestampFromMs(2_000) });
});

test('figures that cannot be had before a shutdown do not stop it', async () => {
  const { meter, boxId, fails } = meterOf();
  fails();
  await meter.note(boxId, 1);
  await expect(meter.measure(boxId, 1)).rejects.toThrow('no /proc');
});
