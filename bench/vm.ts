import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Driver } from '../src/drivers/driver.ts';
import { createQemuDriver } from '../src/drivers/qemu/qemu-driver.ts';
import { boxOptionsSchema } from '../src/events/box-options.ts';
import { connectGuest } from '../src/guest/grpc-guest.ts';
import type { Guest } from '../src/guest/guest.ts';
import type { BoxId } from '../src/kernel/ids.ts';
import { imageCommands } from '../src/main/images.ts';
import { warmUp } from '../src/main/open-driver.ts';
import { randomIds } from '../src/main/random-ids.ts';
import { type Benchmark, inRounds } from './benchmark.ts';
import { type Figure, median } from './figure.ts';

/** Fewer say little of machines that share a noisy host. */
const roundsMin = 10;
const memoryMib = 192;
const mib = 1024 * 1024;

/** Machines of the `qemu` driver: how fast they come up, stop for a moment and go on, and what they take. */
export const benchMachines: Benchmark = async ({ rounds, signal }) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-bench-'));
  try {
    const options = { dataDir } as Parameters<typeof imageCommands.build>[0];
    await imageCommands.build(options, {
      base: 'busybox',
      from: undefined,
      kernelPackage: undefined,
    });
    const setting = { rounds: Math.max(rounds, roundsMin), signal };
    const cold = await createQemuDriver({ dataDir });
    const coldMs = await inRounds(setting, () => lifeOf(cold, async ({ runningMs }) => runningMs));
    const warm = await createQemuDriver({ dataDir, warmUp });
    await lifeOf(warm, async () => undefined); // has a template made
    await templateOf(warm, signal);
    const lives = await inRounds(setting, () => lifeOf(warm, (box) => measure(warm, box)));
    for (const driver of [cold, warm]) await driver.close();
    const readyMs = await readyStarts(dataDir, setting);
    const of = (key: keyof (typeof lives)[number]) => lives.map((life) => life[key]);
    const ratios = [median(readyMs) / median(coldMs)];
    const figure = (
      subject: string,
      values: readonly number[],
      unit: Figure['unit'],
      atMost: number,
    ): Figure => ({
      ...{ benchmark: 'vm', subject, callers: null, unit, rounds: values, target: { atMost } },
    });
    return [
      figure('cold boot to running', coldMs, 'ms', 6_000),
      figure("warm start to the first exec's output: from a template", of('firstOutputMs'), 'ms', 400),
      figure("warm start to the first exec's output: machine stood ready", readyMs, 'ms', 400),
      figure('  of a cold boot', ratios, '×', 1 / 8),
      figure('live snapshot: from freeze to thaw', of('snapshotMs'), 'ms', 150),
      figure('resume from pause to Ping', of('resumeMs'), 'ms', 50),
      figure('own memory of an idle warm machine', of('ownBytes'), 'bytes', 64 * mib),
    ];
  } finally {
    await rm(dataDir, { recursive: true });
  }
};

interface UpBox {
  readonly boxId: BoxId;
  readonly guest: Guest;
  readonly process: Awaited<ReturnType<Driver['boot']>>['process'];
  readonly beganMs: number;
  /** From asking for the start until its agent was what it had been told to be. */
  readonly runningMs: number;
}

const lifeOf = async <Result>(driver: Driver, look: (box: UpBox) => Promise<Result>): Promise<Result> => {
  const boxId = randomIds.boxId();
  const beganMs = performance.now();
  const options = boxOptionsSchema.parse({ memoryMib });
  const { process, identity } = await driver.boot({ boxId, name: 'bench', generation: 1, options }, soon());
  const guest = connectGuest(driver.guestAddress(boxId) ?? '');
  try {
    await guest.ping(soon());
    if (identity !== null) await guest.configure(identity, soon());
    return await look({ boxId, guest, process, beganMs, runningMs: performance.now() - beganMs });
  } finally {
    guest.close();
    await driver.kill(boxId);
    await driver.removeDisk(boxId);
  }
};

/** Each begins when a machine stands ready, and ends with the output of an exec. */
const readyStarts = async (dataDir: string, setting: Parameters<typeof inRounds>[0]) => {
  let stands: () => void = () => undefined;
  const driver = await createQemuDriver({ dataDir, warmUp, readyMachines: 1, machineStands: () => stands() });
  const readied = async (work: () => Promise<number>) => {
    const next = new Promise<void>((resolve) => {
      stands = resolve;
    });
    const ms = await work();
    await next;
    return ms;
  };
  const start = () =>
    readied(() =>
      lifeOf(driver, async ({ guest, beganMs }) => {
        await outputOf(guest);
        return performance.now() - beganMs;
      }),
    );
  try {
    await start(); // from the template: has the next made ready
    return await inRounds(setting, start);
  } finally {
    await driver.close();
  }
};

const soon = () => AbortSignal.timeout(60_000);

/** A start that does not boot is one from a template: looks until there is one. */
const templateOf = async (driver: Driver, signal: AbortSignal): Promise<void> => {
  const isWarm = () => lifeOf(driver, async ({ runningMs }) => runningMs < warmBelowMs);
  while (!signal.aborted && !(await isWarm()));
};
const warmBelowMs = 3_000;

const measure = async (driver: Driver, { boxId, guest, process, beganMs }: UpBox) => {
  await outputOf(guest);
  const firstOutputMs = performance.now() - beganMs;

  await outputOf(guest);
  const idle = await ownMemory(driver, boxId);

  const frozenMs = performance.now();
  await guest.quiesce(soon());
  await driver.freeze(boxId, process);
  await driver.snapshotDisk(boxId, randomIds.snapshotId(), { signal: soon() });
  await driver.unfreeze(boxId, process);
  await guest.thaw(soon());
  const snapshotMs = performance.now() - frozenMs;

  await driver.freeze(boxId, process);
  const resumedMs = performance.now();
  await driver.unfreeze(boxId, process);
  await guest.ping(soon());
  return { firstOutputMs, snapshotMs, resumeMs: performance.now() - resumedMs, ownBytes: idle };
};

const outputOf = async (guest: Guest): Promise<void> => {
  const spec = { command: 'echo', args: ['hello'], env: {} };
  const exec = guest.exec(randomIds.execId(), spec, { env: {}, workingDir: undefined }, soon());
  for await (const output of exec) if (output.kind === 'stdout') return;
};

/** What it alone holds and nobody could read again: not what it has mapped of the template's file. */
const ownMemory = async (driver: Driver, boxId: BoxId): Promise<number> => {
  const qemu = (await driver.processes(boxId)).find(({ command }) => command.includes('qemu-system'));
  const rollup = await readFile(`/proc/${qemu?.hostPid}/smaps_rollup`, 'utf8');
  const kib = [...rollup.matchAll(/^Private_Dirty:\s+(\d+) kB$/gm)].map(([, number]) => Number(number));
  return kib.reduce((sum, number) => sum + number, 0) * 1024;
};
