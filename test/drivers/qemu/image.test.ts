import { execFile } from 'node:child_process';
import { chown, cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { buildImage } from '../../../src/drivers/qemu/image/build-image.ts';
import { ImageStore } from '../../../src/drivers/qemu/image/image-store.ts';
import { bundle } from '../support/bundle.ts';
import { makeDataDir } from '../support/process-harness.ts';
import { describeMachines, imageInputs } from './support/test-image.ts';

const nobody = 65_534;

await describeMachines('images', () => {
  test('the same inputs make the same image, wherever and by whomever it is built', async () => {
    const [dataDir, other] = [await makeDataDir(), await makeDataDir()];
    const program = await bundle(new URL('../support/unprivileged-image.ts', import.meta.url));
    const memory = await mkdtemp('/dev/shm/boxledger-');
    try {
      const inputs = await imageInputs();
      const { digest } = await buildImage(dataDir, inputs);
      const [agent, kernel] = [join(other, 'agent.cjs'), join(other, 'kernel.deb')];
      await cp(inputs.agentPath, agent);
      await cp(inputs.kernelPackage, kernel);
      for (const path of [other, memory]) await chown(path, nobody, nobody);
      const args = [program.path, other, agent, kernel, inputs.busyboxPath];
      const env = { ...process.env, TMPDIR: memory };
      const as = process.getuid?.() === 0 ? { uid: nobody, gid: nobody, cwd: '/', env } : { cwd: '/', env };
      const { stdout } = await promisify(execFile)(process.execPath, args, as);
      expect(stdout.trim()).toBe(digest);
    } finally {
      await program.remove();
      for (const directory of [dataDir, other, memory]) await rm(directory, { recursive: true });
    }
  });

  test('an image whose inputs are wrong is refused, and nothing of it is left', async () => {
    const dataDir = await makeDataDir();
    try {
      const inputs = await imageInputs();
      const noRoot = join(dataDir, 'empty.tar');
      await promisify(execFile)('tar', ['-cf', noRoot, '-T', '/dev/null']);
      const notStatic = { ...inputs, busyboxPath: process.execPath };
      const noKernel = join(dataDir, 'no.deb');
      await writeFile(noKernel, 'no package');
      const wrong = [
        [
          { ...inputs, from: noRoot },
          { code: 'InvalidArgument', help: expect.stringContaining('bin, etc, usr') },
        ],
        [notStatic, { code: 'Unsupported', help: expect.stringContaining('busybox-static') }],
        [{ ...inputs, kernelPackage: noKernel }, { code: 'Internal' }],
      ] as const;
      for (const [asked, refusal] of wrong)
        await expect(buildImage(dataDir, asked)).rejects.toMatchObject(refusal);
      expect(await readdir(join(dataDir, 'images'))).toEqual([]);
      expect(await new ImageStore(dataDir).current()).toBeUndefined();
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });
});
