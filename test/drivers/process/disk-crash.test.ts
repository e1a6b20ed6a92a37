import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DiskSource } from '../../../src/drivers/disks.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { type DiskStep, diskSteps } from '../../../src/drivers/supervised/disk-context.ts';
import type { BoxId, ExportId } from '../../../src/kernel/ids.ts';
import { eventually } from '../../support/eventually.ts';
import { type Bundle, bundle } from '../support/bundle.ts';
import { chunksOf, forge, manifestInput } from '../support/forged-archive.ts';
import { openProcessHarness, type ProcessHarness, standInAgent } from '../support/process-harness.ts';
import { never, newBoxId, newExportId, newSnapshotId, specOf, unhurried } from '../support/spec.ts';

const names = ['a', 'b', 'c'];

/** What there is to begin with: a box with a snapshot, whose disk was written to since; ids for what may be made. */
interface Scene {
  readonly from: DiskSource;
  readonly taken: DiskSource;
  readonly other: BoxId;
  readonly out: ExportId;
  readonly archive: Buffer;
}

let harness: ProcessHarness;
let program: Bundle;
beforeAll(async () => {
  harness = await openProcessHarness(undefined);
  program = await bundle(new URL('../support/dying-disk-work.ts', import.meta.url));
});
afterAll(async () => {
  await program?.remove();
  await harness?.close();
});

const write = async (box: BoxId, text: string) => {
  for (const name of names) await harness.writeDisk(box, name, text);
};
/** Three files that were written together. */
const read = async (box: BoxId): Promise<unknown> => {
  const texts = new Set(await Promise.all(names.map((name) => harness.readDisk(box, name))));
  return texts.size === 1 ? [...texts][0] : texts;
};

const prepare = async (): Promise<Scene> => {
  const boxId = newBoxId();
  await harness.driver.importDisk(boxId, chunksOf(await forge()), unhurried); // faster than a boot
  await write(boxId, 'old');
  const from = { boxId, snapshotId: newSnapshotId() };
  await harness.driver.snapshotDisk(boxId, from.snapshotId, unhurried);
  await write(boxId, 'new');
  const taken = { boxId, snapshotId: newSnapshotId() };
  const archive = await forge({
    entries: [
      { path: 'disk', kind: 'directory' },
      ...names.map((name) => ({ path: `disk/${name}`, content: 'old' })),
    ],
  });
  return { from, taken, other: newBoxId(), out: newExportId(), archive };
};

const workOf = (step: DiskStep) => step.split('.')[0] ?? '';

/** The same work in this process. */
const redo = (
  driver: Driver,
  step: DiskStep,
  { from, taken, other, out, archive }: Scene,
  signal = never,
) => {
  const work = { signal };
  const works: Readonly<Record<string, () => Promise<unknown>>> = {
    snapshot: () => driver.snapshotDisk(taken.boxId, taken.snapshotId, work),
    snapshotRemoval: () => driver.removeSnapshot(from.boxId, from.snapshotId),
    restore: () => driver.restoreDisk(from.boxId, from.snapshotId, work),
    clone: () => driver.cloneDisk(from, other, work),
    export: () => driver.exportDisk(from, out, manifestInput, work),
    import: () => driver.importDisk(other, chunksOf(archive), work),
  };
  return works[workOf(step)]?.();
};

/** Lets a service of its own do the work and die by kill -9 after the step. */
const dieAfter = async (step: DiskStep, scene: Scene) => {
  const archive = join(harness.dataDir, `${scene.other}.archive`);
  await writeFile(archive, scene.archive);
  const source = workOf(step) === 'snapshot' ? scene.taken : scene.from;
  const about = [source.boxId, source.snapshotId, scene.other, scene.out, archive];
  const child = spawn(process.execPath, [program.path, harness.dataDir, standInAgent, step, ...about], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
};

/** Everything below the boxes and exports of the scene that is not what it should be. */
const leavings = async ({ from, other, out }: Scene): Promise<readonly string[]> => {
  const below = async (path: string) => readdir(join(harness.dataDir, path)).catch(() => []);
  const inBox = async (id: BoxId) => [
    ...(await below(`boxes/${id}`)).filter((name) => !['disk', 'snapshots', 'origin.json'].includes(name)),
    ...(await below(`boxes/${id}/snapshots`)).filter((name) => !name.startsWith('sn_')),
  ];
  return [
    ...(await inBox(from.boxId)),
    ...(await inBox(other)),
    ...(await below('exports/staging')),
    ...(await below(`exports/${out}`)).filter((name) => !['archive.tar.zst', 'figures.json'].includes(name)),
  ];
};

/** What is to be found under final names: nothing half, and nothing before the step that makes it so. */
const expectWhole = async (driver: Driver, step: DiskStep, scene: Scene) => {
  const { from, taken, other, out } = scene;
  const isKept = (work: string) => step === `${work}.kept`;
  expect(await leavings(scene)).toEqual([]);
  expect(new Set(await driver.listSnapshots(from.boxId))).toEqual(
    new Set([
      ...(workOf(step) === 'snapshotRemoval' ? [] : [from.snapshotId]),
      ...(isKept('snapshot') ? [taken.snapshotId] : []),
    ]),
  );
  expect(await read(from.boxId)).toBe(step === 'restore.replaced' ? 'old' : 'new');
  expect((await driver.list()).includes(other)).toBe(isKept('clone') || isKept('import'));
  expect((await driver.listExports()).includes(out)).toBe(isKept('export'));
};

/** Once the work was done after all. */
const expectDone = async (step: DiskStep, { from, taken, other }: Scene) => {
  const { driver } = harness;
  if (workOf(step) === 'snapshot') {
    await write(from.boxId, 'newer');
    await driver.restoreDisk(taken.boxId, taken.snapshotId, unhurried);
    expect(await read(from.boxId)).toBe('new');
  } else if (workOf(step) === 'restore') expect(await read(from.boxId)).toBe('old');
  else if (['clone', 'import'].includes(workOf(step))) expect(await read(other)).toBe('old');
};

describe('work on a disk in which', () => {
  for (const step of diskSteps) {
    test(`the service was killed after step ${step} has left nothing half once a driver is set up`, async () => {
      const scene = await prepare();
      await dieAfter(step, scene);
      await expectWhole(await harness.another(), step, scene);
    });

    test(`the service was killed after step ${step} is made good when it is asked for again`, async () => {
      const scene = await prepare();
      await dieAfter(step, scene);
      await redo(harness.driver, step, scene);
      await expectDone(step, scene);
      expect(await leavings(scene)).toEqual([]);
    });

    test(`the caller gave up after step ${step} leaves nothing of it, or all`, async () => {
      const scene = await prepare();
      const stop = new AbortController();
      const reason = new Error('not any more');
      const driver = await createProcessDriver({
        dataDir: harness.dataDir,
        agentPath: standInAgent,
        passed: (passed) => {
          if (passed === step) stop.abort(reason);
        },
      });
      const settled = await redo(driver, step, scene, stop.signal)?.then(
        () => 'done',
        (error: unknown) => error,
      );
      // What has its name by then is there to stay.
      const isThrough = /kept|replaced|parted|snapshotRemoval/.test(step);
      expect(settled).toBe(isThrough ? 'done' : reason);
      await expectWhole(driver, step === 'restore.parted' ? 'restore.replaced' : step, scene);
    });
  }

  test.each(['restore.begun', 'restore.staged', 'restore.parted', 'restore.replaced'] as const)(
    'the service was killed after step %s has the box boot with a whole disk, the old or the new',
    async (step) => {
      const scene = await prepare();
      await dieAfter(step, scene);
      // Not a new driver: nothing was set right before.
      await harness.driver.boot(specOf(scene.from.boxId, 2), never);
      expect(await read(scene.from.boxId)).toBe(step === 'restore.replaced' ? 'old' : 'new');
      await harness.driver.kill(scene.from.boxId);
    },
  );
});

test('a copy that goes on after its service was killed writes into nothing that is made later', async () => {
  const scene = await prepare();
  const staged = join(harness.dataDir, 'boxes', scene.from.boxId, 'staging', '0123456789abcdef');
  await mkdir(staged, { recursive: true });
  const script = 'i=0; while echo x >"$1/$i"; do i=$((i+1)); done 2>/dev/null';
  const copy = spawn('sh', ['-c', script, 'sh', staged], { stdio: 'ignore' });
  const ended = once(copy, 'exit');
  await eventually('it to write', async () => (await readdir(staged)).length > 100);
  await redo(harness.driver, 'clone.kept', scene);
  await harness.driver.snapshotDisk(scene.taken.boxId, scene.taken.snapshotId, unhurried);
  await ended;
  expect(await leavings(scene)).toEqual([]);
  expect(await read(scene.other)).toBe('old');
});
