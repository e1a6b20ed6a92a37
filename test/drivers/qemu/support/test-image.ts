import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';
import { buildImage, fetchKernel } from '../../../../src/drivers/qemu/image/build-image.ts';
import { findTool } from '../../../../src/drivers/qemu/tools.ts';
import { BoxledgerError } from '../../../../src/kernel/errors.ts';

const agentPath = fileURLToPath(new URL('../../../../dist/agent/agent.cjs', import.meta.url));
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

/** Makes an image with the agent as it is now. */
export const giveImage = async (dataDir: string): Promise<string> =>
  (await buildImage(dataDir, await imageInputs())).digest;
