import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DiskSource } from '../../../src/drivers/disks.ts';
import { layoutOf } from '../../../src/drivers/supervised/layout.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { chunksOf, forge, manifestInput } from '../support/forged-archive.ts';
import { openProcessHarness, type ProcessHarness } from '../support/process-harness.ts';
import { never, newBoxId, newExportId, newSnapshotId, specOf, unhurried } from '../support/spec.ts';

const run = promisify(execFile);
const has = (program: string, ...args: readonly string[]) =>
  run(program, args).then(
    () => true,
    () => false,
  );
const hasAttributes = (await has('setfattr', '--version')) && (await has('getfattr', '--version'));
const hasZstd = await has('zstd', '--version');

let harness: ProcessHarness;
beforeAll(async () => {
  harness = await openProcessHarness(undefined);
});
afterAll(() => harness?.close());

const diskOf = (id: BoxId) => layoutOf(harness.dataDir).box(id).disk;

const emptyBox = async (): Promise<BoxId> => {
  const id = newBoxId();
  await harness.driver.importDisk(
    id,
    chunksOf(await forge({ entries: [{ path: 'disk', kind: 'directory' }] })),
    unhurried,
  );
  return id;
};

const snapshotOf = async (boxId: BoxId): Promise<DiskSource> => {
  const from = { boxId, snapshotId: newSnapshotId() };
  await harness.driver.snapshotDisk(boxId, from.snapshotId, unhurried);
  return from;
};

const exportOf = async (boxId: BoxId) => {
  const id = newExportId();
  const figures = await harness.driver.exportDisk(await snapshotOf(boxId), id, manifestInput, unhurried);
  return { ...figures, archive: layoutOf(harness.dataDir).export(id).archive, id };
};

const carried = async (boxId: BoxId) => {
  const { id } = await exportOf(boxId);
  const to = newBoxId();
  const made = await harness.driver.importDisk(to, await harness.driver.openExport(id), unhurried);
  return { to, made };
};

const cloned = async (boxId: BoxId) => {
  const to = newBoxId();
  await harness.driver.cloneDisk(await snapshotOf(boxId), to, unhurried);
  return to;
};

/** One line for each entry: all of it that a copy has to keep. */
const listing = async (root: string): Promise<readonly string[]> => {
  const seen = new Map<string, string>();
  const lines: string[] = [];
  const visit = async (path: string): Promise<void> => {
    const full = join(root, path);
    const { mode, mtimeMs, size, uid, nlink, ino, isFile, isDirectory, isSymbolicLink } = bound(
      await lstat(full),
    );
    const first = seen.get(`${ino}`);
    seen.set(`${ino}`, first ?? path);
    const what = isFile()
      ? `${size} ${createHash('sha256')
          .update(await readFile(full))
          .digest('hex')}`
      : isSymbolicLink()
        ? await readlink(full)
        : '';
    const names = isDirectory() ? '' : `${nlink} ${first ?? ''}`;
    lines.push(`${JSON.stringify(path)} ${mode.toString(8)} ${Math.floor(mtimeMs)} ${uid} ${names} ${what}`);
    if (isDirectory()) for (const name of (await readdir(full)).sort()) await visit(join(path, name));
  };
  await visit('');
  return lines;
};
const bound = (stats: Awaited<ReturnType<typeof lstat>>) => ({
  ...stats,
  mtimeMs: Number(stats.mtimeMs),
  isFile: () => stats.isFile(),
  isDirectory: () => stats.isDirectory(),
  isSymbolicLink: () => stats.isSymbolicLink(),
});

/** A disk with one of everything that a box may put on it. */
const furnish = async (disk: string): Promise<void> => {
  const at = (name: string) => join(disk, name);
  await mkdir(at('empty'));
  await mkdir(at('deep/er/est'), { recursive: true });
  await writeFile(at('deep/er/est/file'), 'x'.repeat(3_000_000));
  await writeFile(at('nothing'), '');
  await writeFile(at('.hidden'), 'h');
  await writeFile(at('program'), '#!/bin/sh\n');
  await chmod(at('program'), 0o6751);
  await writeFile(at('secret'), 's', { mode: 0o400 });
  await mkdir(at('drop'));
  await chmod(at('drop'), 0o1733);
  await writeFile(at('one'), 'linked');
  await link(at('one'), at('deep/two'));
  await link(at('one'), at('three'));
  await symlink('one', at('short'));
  await symlink('/nowhere/at/all', at('dangling'));
  await symlink(`${'é/'.repeat(100)}end`, at('long-link'));
  await writeFile(at('line\nfeed \\ and "quotes" and \r'), 'n');
  await writeFile(at('ünïcödé-名前'), 'u');
  await writeFile(at(`${'n'.repeat(250)}.txt`), 'long');
  const far = ['far', ...Array.from({ length: 12 }, (_, index) => `${index}`.padEnd(40, 'd'))].join('/');
  await mkdir(at(far), { recursive: true });
  await writeFile(at(`${far}/file`), 'far');
  await run('mkfifo', ['-m', '640', at('pipe')]);
  await utimes(at('nothing'), 1_000_000_000.123, 1_000_000_000.123);
  await utimes(at('.hidden'), -86_400, -86_400);
  await lutimes(at('short'), 1_100_000_000, 1_100_000_000);
  await utimes(at('deep'), 1_200_000_000.5, 1_200_000_000.5);
};

describe('a disk with one of everything', () => {
  let box: BoxId;
  let before: readonly string[];
  beforeAll(async () => {
    box = await emptyBox();
    await furnish(diskOf(box));
    const { uid, gid } = await stat(diskOf(box));
    if (process.getuid?.() === 0) await run('chown', ['-hR', `${uid}:${gid}`, diskOf(box)]);
    await chmod(join(diskOf(box), 'program'), 0o6751); // a change of owner took it away
    before = await listing(diskOf(box));
  });

  test('is the same as a clone', async () => {
    expect(await listing(diskOf(await cloned(box)))).toEqual(before);
  });

  test('is the same after a restore', async () => {
    const { snapshotId } = await snapshotOf(box);
    await writeFile(join(diskOf(box), 'nothing'), 'something');
    await harness.driver.restoreDisk(box, snapshotId, unhurried);
    expect(await listing(diskOf(box))).toEqual(before);
  });

  test('is the same after an export and an import', async () => {
    const { to, made } = await carried(box);
    expect(await listing(diskOf(to))).toEqual(before);
    expect(made.sizeBytes).toBe(3_000_000 + 6 + [...'h#!/bin/sh\nsnu'].length + 'longfar'.length);
  });

  test.skipIf(!hasZstd)('can be unpacked and verified with tar, zstd and sha256sum (zstd)', async () => {
    const { archive } = await exportOf(box);
    const out = join(harness.dataDir, 'unpacked');
    await mkdir(out);
    await run('sh', ['-c', 'zstd -dc "$1" | tar -x -p -C "$2"', 'sh', archive, out]);
    await run('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: out });
    const withoutOwners = (lines: readonly string[]) =>
      lines.map((line) => line.replace(/ (0|1931000000) /, ' '));
    expect(withoutOwners(await listing(join(out, 'disk')))).toEqual(withoutOwners(before));
  });

  test('exports to the same bytes again', async () => {
    expect((await exportOf(box)).sha256).toBe((await exportOf(box)).sha256);
  });
});

test('holes stay holes, in copies and in what is carried', async () => {
  const box = await emptyBox();
  const path = join(diskOf(box), 'sparse');
  const file = await open(path, 'w');
  await file.truncate(256 * 1024 * 1024);
  await file.write('middle', 128 * 1024 * 1024);
  await file.close();
  const { to, made } = await carried(box);
  const copy = await cloned(box);
  expect(made.sizeBytes).toBe(256 * 1024 * 1024);
  expect(made.archiveBytes).toBeLessThan(1024 * 1024);
  for (const id of [to, copy]) {
    const { size, blocks } = await stat(join(diskOf(id), 'sparse'));
    expect({ size, usedBytes: blocks * 512 }).toEqual({
      size: 256 * 1024 * 1024,
      usedBytes: expect.any(Number),
    });
    expect(blocks * 512).toBeLessThan(1024 * 1024);
    expect((await readFile(join(diskOf(id), 'sparse'))).indexOf('middle')).toBe(128 * 1024 * 1024);
  }
});

test.skipIf(!hasAttributes)('extended attributes go along with a copy (setfattr)', async () => {
  const box = await emptyBox();
  await writeFile(join(diskOf(box), 'file'), '');
  await run('setfattr', ['-n', 'user.colour', '-v', 'green', join(diskOf(box), 'file')]);
  const copy = await cloned(box);
  const shown = await run('getfattr', ['--only-values', '-n', 'user.colour', join(diskOf(copy), 'file')]);
  expect(shown.stdout).toBe('green');
});

test('a socket is left out of an archive, and counted', async () => {
  const box = await emptyBox();
  const server = createServer().listen(join(diskOf(box), 'socket'));
  onTestFinished(() => void server.close());
  await writeFile(join(diskOf(box), 'file'), 'x');
  const { to, made } = await carried(box);
  expect(made.manifest.disk).toEqual({ entries: 2, bytes: 1, skipped: { sockets: 1, devices: 0 } });
  expect(await readdir(diskOf(to))).toEqual(['file']);
});

test('a name that is not UTF-8 is kept by copies, and an export says that it cannot carry it', async () => {
  const box = await emptyBox();
  const name = Buffer.from([0x66, 0xff]);
  await writeFile(Buffer.concat([Buffer.from(`${diskOf(box)}/`), name]), 'x');
  expect(await readdir(diskOf(await cloned(box)), { encoding: 'buffer' })).toEqual([name]);
  await expect(exportOf(box)).rejects.toMatchObject({
    code: 'Unsupported',
    message: expect.stringMatching(/UTF-8/),
  });
});

test('the program of a box that was made of another can write to its disk', async () => {
  const box = newBoxId();
  await harness.driver.boot(specOf(box), never);
  await harness.ask(box, `require('fs').mkdirSync(process.env.HOME + '/mine') || 1`);
  await harness.driver.kill(box);
  const { snapshotId } = await snapshotOf(box);
  await harness.driver.restoreDisk(box, snapshotId, unhurried);
  for (const id of [box, await cloned(box), (await carried(box)).to]) {
    await harness.driver.boot(specOf(id, 2), never);
    await harness.ask(id, `require('fs').writeFileSync(process.env.HOME + '/mine/file', 'w') || 1`);
    await harness.driver.kill(id);
    expect(await harness.readDisk(id, 'mine/file')).toBe('w');
  }
});

test('what an import refuses has touched nothing outside', async () => {
  const target = join(harness.dataDir, 'target');
  await mkdir(target);
  const archive = await forge({
    entries: [
      { path: 'disk', kind: 'directory' },
      { path: 'disk/out', kind: 'symlink', target },
      { path: 'disk/out/escaped', content: 'x' },
    ],
  });
  const work = harness.driver.importDisk(newBoxId(), chunksOf(archive), unhurried);
  await expect(work).rejects.toMatchObject({ code: 'InvalidArgument' });
  expect(await readdir(target)).toEqual([]);
});
