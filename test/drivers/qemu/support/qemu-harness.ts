import { execFile } from 'node:child_process';
import { chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import type { Driver } from '../../../../src/drivers/driver.ts';
import { readDisk as readDiskRecord } from '../../../../src/drivers/qemu/layered-disk.ts';
import { createQemuDriver, type QemuDriverOptions } from '../../../../src/drivers/qemu/qemu-driver.ts';
import { connectGuest } from '../../../../src/guest/grpc-guest.ts';
import type { Guest } from '../../../../src/guest/guest.ts';
import type { BoxId } from '../../../../src/kernel/ids.ts';
import { warmUp } from '../../../../src/main/open-driver.ts';
import { randomIds } from '../../../../src/main/random-ids.ts';
import type { BoxTraits, DriverHarness } from '../../../contract/driver.ts';
import { forge } from '../../support/forged-archive.ts';
import { leavingsOf, makeDataDir } from '../../support/process-harness.ts';
import { giveImage } from './test-image.ts';

export interface QemuHarness extends DriverHarness {
  readonly dataDir: string;
  readonly image: string;
  /** The agent of a box that runs, once the box is what it was told to be. */
  guest(box: BoxId): Promise<Guest>;
  /** What the shell command writes in the box. */
  sh(box: BoxId, command: string): Promise<string>;
}

const run = promisify(execFile);
const soon = () => AbortSignal.timeout(60_000);

export const openQemuHarness = async (options: Partial<QemuDriverOptions> = {}): Promise<QemuHarness> => {
  const dataDir = options.dataDir ?? (await makeDataDir());
  const image = await giveImage(dataDir);
  const opened: Driver[] = [];
  const open = async () => {
    const driver = await createQemuDriver({ dataDir, warmUp, ...options });
    opened.push(driver);
    return driver;
  };
  const driver = await open();
  const diskOf = (box: BoxId) => join(dataDir, 'boxes', box, 'disk');
  const isUp = async (box: BoxId) => (await driver.observe(box)).kind === 'running';

  const guest = async (box: BoxId) => {
    const agent = connectGuest(driver.guestAddress(box) ?? '');
    await agent.ping(soon());
    await agent.configure({ hostname: 'a-box', machineId: 'a'.repeat(32) }, soon());
    return agent;
  };
  const sh = async (box: BoxId, command: string) => {
    const agent = await guest(box);
    try {
      const spec = { command: 'sh', args: ['-c', command], env: {} };
      let said = '';
      for await (const output of agent.exec(
        randomIds.execId(),
        spec,
        { env: {}, workingDir: undefined },
        soon(),
      ))
        if (output.kind === 'stdout') said += Buffer.from(output.data).toString();
      return said;
    } finally {
      agent.close();
    }
  };

  return {
    driver,
    dataDir,
    image,
    traits: machineTraits(image),
    another: open,
    guest,
    sh,
    // A machine has no exit code of its own: it is off.
    exitByItself: async (box) => {
      // It may be off before it has answered.
      await sh(box, 'sync; reboot -f').catch(() => undefined);
    },
    writeDisk: async (box, name, text) =>
      (await isUp(box))
        ? void (await sh(box, `printf %s '${text}' > /root/${name}; sync`))
        : writeOffline(diskOf(box), name, text),
    readDisk: async (box, name) => {
      if (!(await isUp(box))) return readOffline(diskOf(box), name);
      const said = await sh(box, `[ ! -e /root/${name} ] || { echo; cat /root/${name}; }`);
      return said === '' ? undefined : said.slice(1);
    },
    leavings: (box) => leavingsOf(dataDir, box),
    close: async () => {
      for (const each of opened) await each.close();
      for (const box of await driver.list()) await driver.kill(box);
      await rm(dataDir, { recursive: true });
    },
  };
};

const machineTraits = (image: string): BoxTraits => ({
  exitOf: () => ({ kind: 'code', code: 0 }),
  terminated: { kind: 'code', code: 0 },
  sizeOf: () => expect.any(Number),
  archiveBytesOf: () => 64 << 20,
  image,
  archive: async () => {
    const directory = await makeDataDir();
    try {
      const [raw, file] = [join(directory, 'raw'), join(directory, 'disk.qcow2')];
      await emptyDisk(raw);
      await writeInto(raw, 'file', 'hello');
      await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, file]);
      return await archiveOf(await readFile(file), image);
    } finally {
      await rm(directory, { recursive: true });
    }
  },
});

/** An archive of a machine whose disk is that qcow2 file. */
export const archiveOf = (file: Buffer, image: string | null, path = 'disk/disk.qcow2'): Promise<Buffer> =>
  forge({
    entries: [
      { path: 'disk', kind: 'directory' },
      { path, content: file },
    ],
    manifest: { image },
  });

export const emptyDisk = async (raw: string): Promise<void> => {
  await run('truncate', ['-s', '64M', raw]);
  await run('mkfs.ext4', ['-q', '-F', raw]);
};

const debugfs = (raw: string, command: string) => run('debugfs', ['-w', '-R', command, raw]);

const writeInto = async (raw: string, name: string, text: string): Promise<void> => {
  const file = `${raw}.file`;
  await writeFile(file, text);
  for (const directory of ['upper', 'work', 'upper/root']) await debugfs(raw, `mkdir ${directory}`);
  await debugfs(raw, `rm upper/root/${name}`);
  await debugfs(raw, `write ${file} upper/root/${name}`);
  await rm(file);
};

/** The box's file system as a raw file, its journal replayed. */
const rawOf = async (disk: string): Promise<string> => {
  const [{ active }, raw] = [await readDiskRecord(disk), `${disk}.raw`];
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', join(disk, active), raw]);
  await run('e2fsck', ['-p', raw]).catch((error: { readonly code?: number }) => {
    if (error.code !== 1) throw error; // 1: it was put right
  });
  return raw;
};

const writeOffline = async (disk: string, name: string, text: string): Promise<void> => {
  const raw = await rawOf(disk);
  await writeInto(raw, name, text);
  const [{ active, layers }, made] = [await readDiskRecord(disk), join(disk, 'made')];
  const top = layers.at(-1);
  const below = top === undefined ? [] : ['-B', top, '-F', 'qcow2'];
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...below, raw, made], { cwd: disk });
  await rm(raw);
  const { uid, gid } = await stat(join(disk, active));
  await chown(made, uid, gid);
  await rename(made, join(disk, active));
};

const readOffline = async (disk: string, name: string): Promise<string | undefined> => {
  const raw = await rawOf(disk);
  const { stdout, stderr } = await run('debugfs', ['-R', `cat upper/root/${name}`, raw]);
  await rm(raw);
  return /File not found/.test(stderr) ? undefined : stdout;
};
