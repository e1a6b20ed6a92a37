import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, open, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { layoutOf } from '../../../src/drivers/supervised/layout.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { chunksOf, forge } from '../support/forged-archive.ts';
import { makeDataDir, openProcessHarness } from '../support/process-harness.ts';
import { newBoxId, newSnapshotId, unhurried } from '../support/spec.ts';

const run = promisify(execFile);
const mebibyte = 1024 * 1024;

type Make = readonly [command: string, ...args: string[]];

/** A file system of its own in a file; undefined where this machine cannot make or mount one. */
const mounted = async ([command, ...args]: Make) => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-filesystem-'));
  await chmod(directory, 0o711);
  const [image, mount] = [join(directory, 'image'), join(directory, 'mount')];
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    await mkdir(mount);
    await writeFile(image, '');
    await run('truncate', ['-s', '400M', image]);
    await run(command, [...args, image]);
    await run('mount', ['-o', 'loop', image, mount]);
    await chmod(mount, 0o711);
  } catch {
    await remove();
    return undefined;
  }
  const unmount = async () => {
    await run('umount', [mount]);
    await remove();
  };
  return { mount, unmount };
};

const canMount = async (make: Make): Promise<boolean> => {
  const found = await mounted(make);
  await found?.unmount();
  return found !== undefined;
};

const xfs: Make = ['mkfs.xfs', '-q', '-m', 'reflink=1'];
const ext4: Make = ['mkfs.ext4', '-q'];

/** A box on that file system whose disk has 32 MiB on it. */
const boxOn = async (make: Make) => {
  const filesystem = await mounted(make);
  if (filesystem === undefined) throw new Error('it could be mounted before');
  onTestFinished(filesystem.unmount);
  const harness = await openProcessHarness(undefined, { dataDir: await makeDataDir(filesystem.mount) });
  onTestFinished(harness.close);
  const id = newBoxId();
  await harness.driver.importDisk(id, chunksOf(await forge()), unhurried);
  await writeFile(join(layoutOf(harness.dataDir).box(id).disk, 'large'), Buffer.alloc(32 * mebibyte, 'x'));
  await run('sync', ['-f', filesystem.mount]);
  const usedBy = async (work: () => Promise<unknown>): Promise<number> => {
    const freeBytes = async () => {
      const { bfree, bsize } = await statfs(filesystem.mount);
      return bfree * bsize;
    };
    const before = await freeBytes();
    await work();
    return before - (await freeBytes());
  };
  return { ...harness, id, usedBy, diskOf: (box: BoxId) => layoutOf(harness.dataDir).box(box).disk };
};

test.skipIf(!(await canMount(xfs)))(
  'copies share their blocks where the file system can, until they are written to (XFS on a loop device)',
  async () => {
    const { driver, id, usedBy, diskOf, readDisk, writeDisk } = await boxOn(xfs);
    const kept = newSnapshotId();
    const clones = Array.from({ length: 4 }, newBoxId);
    const used = await usedBy(async () => {
      expect(await driver.snapshotDisk(id, kept, unhurried)).toMatchObject({ copy: 'reflink' });
      for (const to of clones)
        expect(await driver.cloneDisk({ boxId: id, snapshotId: kept }, to, unhurried)).toMatchObject({
          copy: 'reflink',
        });
      expect(await driver.restoreDisk(id, kept, unhurried)).toMatchObject({ copy: 'reflink' });
    });
    expect(used).toBeLessThan(32 * mebibyte);
    const [first = id] = clones;
    const file = await open(join(diskOf(first), 'large'), 'r+');
    await file.write('mine');
    await file.close();
    expect((await readDisk(id, 'large'))?.slice(0, 4)).toBe('xxxx');
    await writeDisk(id, 'file', 'changed');
    expect(await readDisk(first, 'file')).toBe('hello');
  },
);

test.skipIf(!(await canMount(ext4)))(
  'copies have bytes of their own where the file system cannot share, and say so (ext4 on a loop device)',
  async () => {
    const { driver, id, usedBy } = await boxOn(ext4);
    const used = await usedBy(async () => {
      expect(await driver.snapshotDisk(id, newSnapshotId(), unhurried)).toMatchObject({ copy: 'copy' });
    });
    expect(used).toBeGreaterThan(31 * mebibyte);
  },
);

test.skipIf(!(await canMount(ext4)))(
  'a copy for which there is no room fails, says so and leaves nothing (ext4 on a loop device)',
  async () => {
    const { driver, dataDir, id, diskOf, usedBy } = await boxOn(ext4);
    await writeFile(join(diskOf(id), 'larger'), Buffer.alloc(200 * mebibyte, 'x'));
    await run('sync', ['-f', dataDir]);
    const used = await usedBy(async () => {
      const work = driver.snapshotDisk(id, newSnapshotId(), unhurried);
      await expect(work).rejects.toMatchObject({ code: 'ResourceExhausted' });
    });
    expect(used).toBeLessThan(mebibyte);
    expect(await driver.listSnapshots(id)).toEqual([]);
    expect(new Set(await readdir(layoutOf(dataDir).box(id).box))).toEqual(new Set(['disk', 'origin.json']));
  },
);
