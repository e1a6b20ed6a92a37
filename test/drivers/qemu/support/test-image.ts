import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe } from 'vitest';
import { withLock } from '../../../../scripts/lock.mjs';
import { buildImage, fetchKernel } from '../../../../src/drivers/qemu/image/build-image.ts';
import { createQemuDriver } from '../../../../src/drivers/qemu/qemu-driver.ts';
import { findTool } from '../../../../src/drivers/qemu/tools.ts';
import { BoxledgerError } from '../../../../src/kernel/errors.ts';
import { warmUp } from '../../../../src/main/open-driver.ts';
import { eventually } from '../../../support/eventually.ts';
import { makeDataDir } from '../../support/process-harness.ts';
import { never, newBoxId, specOf } from '../../support/spec.ts';

const run = promisify(execFile);

const agentPath = fileURLToPath(new URL('../../../../dist/agent/agent.cjs', import.meta.url));
const stamp = fileURLToPath(new URL('../../../../dist/.stamp', import.meta.url));
const cache = fileURLToPath(new URL('../../../../node_modules/.cache/boxledger-images', import.meta.url));

export const imageInputs = async () => ({
  busyboxPath: await findTool('busybox'),
  nodePath: process.execPath,
  agentPath,
  base: 'busybox' as const,
  from: undefined,
  agentVersion: '0.1.0',
  kernelPackage: await cachedKernel(),
});

/** A suite that is left out, and says why, where no machine runs. */
export const describeMachines = async (name: string, suite: () => void): Promise<void> => {
  const problem = await problemOfMachines();
  describe.skipIf(problem !== undefined)(problem === undefined ? name : `${name} (${problem})`, suite);
};

/** Why this host runs no machines; undefined: it does. */
const problemOfMachines = async (): Promise<string | undefined> => {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs Linux on x86-64';
  try {
    for (const tool of ['qemu-system-x86_64', 'qemu-img', 'mkfs.ext4', 'debugfs', 'busybox', 'lz4'] as const)
      await findTool(tool);
    await imageInputs();
    return undefined;
  } catch (error) {
    if (error instanceof BoxledgerError) return `needs what docs/machines.md names: ${error.message}`;
    throw error;
  }
};

/** A kernel package, fetched once. */
const cachedKernel = async (): Promise<string> => {
  await mkdir(cache, { recursive: true });
  const find = async () => (await readdir(cache)).find((name) => name.endsWith('.deb'));
  const found = await find();
  if (found !== undefined) return join(cache, found);
  const fetching = join(cache, `fetching-${process.pid}`);
  await mkdir(fetching, { recursive: true });
  try {
    const fetched = await fetchKernel(fetching);
    const kept = join(cache, fetched.split('/').at(-1) ?? '');
    await rename(fetched, kept);
    return kept;
  } finally {
    await rm(fetching, { recursive: true, force: true });
  }
};

/** Gives the data directory an image with the agent as it is now, and a template of it for the test machines' memory. */
export const giveImage = async (dataDir: string): Promise<string> => {
  const made = await madeOnce();
  for (const name of ['images', 'templates'])
    await run('cp', ['-a', '--sparse=always', join(made, name), join(dataDir, name)]);
  return readFile(join(made, 'digest'), 'utf8');
};

/** By whoever needs it first, and anew when the sources have changed. */
const madeOnce = async (): Promise<string> => {
  const directory = join(cache, `machine-${(await readFile(stamp, 'utf8')).trim().slice(0, 16)}`);
  await mkdir(cache, { recursive: true });
  await withLock(join(cache, 'lock'), async () => {
    if (existsSync(directory)) return;
    for (const name of await readdir(cache))
      if (name.startsWith('machine-')) await rm(join(cache, name), { recursive: true });
    const dataDir = await makeDataDir();
    try {
      const { digest } = await buildImage(dataDir, await imageInputs());
      await makeTemplate(dataDir);
      const half = join(cache, 'machine-half');
      await mkdir(half);
      await writeFile(join(half, 'digest'), digest);
      for (const name of ['images', 'templates'])
        await run('cp', ['-a', '--sparse=always', join(dataDir, name), join(half, name)]);
      await rename(half, directory);
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });
  return directory;
};

/** The first machine that boots has it made. */
const makeTemplate = async (dataDir: string): Promise<void> => {
  const driver = await createQemuDriver({ dataDir, warmUp });
  const id = newBoxId();
  try {
    await driver.boot(specOf(id), never);
    const templates = join(dataDir, 'templates');
    await eventually(
      'the template',
      async () => (await readdir(templates)).some((name) => /^[0-9a-f]{64}$/.test(name)),
      120_000,
    );
  } finally {
    await driver.kill(id);
    await driver.close();
  }
};
