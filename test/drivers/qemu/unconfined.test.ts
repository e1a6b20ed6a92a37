import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createQemuDriver } from '../../../src/drivers/qemu/qemu-driver.ts';
import { makeDataDir } from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';
import { openQemuHarness } from './support/qemu-harness.ts';
import { describeMachines } from './support/test-image.ts';

await describeMachines('machines without namespaces of their own', () => {
  test('live like any other, also where the path of their files has commas', async () => {
    const above = await makeDataDir();
    const dataDir = join(above, 'a,b');
    await mkdir(dataDir, { mode: 0o711 });
    const harness = await openQemuHarness({ dataDir, confined: false });
    try {
      expect((await harness.driver.isolation()).missing.join()).toContain('not confined');
      const id = newBoxId();
      const { process } = await harness.driver.boot(specOf(id), never);
      await harness.sh(id, 'echo kept > ~/kept; sync');
      await harness.driver.suspend(id, process, never);
      expect(await harness.leavings(id)).toEqual([]);
      await harness.driver.unfreeze(id, process);
      expect(await harness.sh(id, 'cat ~/kept')).toBe('kept\n');
      await harness.driver.kill(id);
      expect(await harness.leavings(id)).toEqual([]);
    } finally {
      await harness.close();
      await rm(above, { recursive: true });
    }
  });

  test('are refused where the path is too long for their sockets, and are not where they have namespaces', async () => {
    const above = await makeDataDir();
    const dataDir = join(above, 'x'.repeat(60));
    try {
      await expect(createQemuDriver({ dataDir, confined: false })).rejects.toMatchObject({
        code: 'InvalidArgument',
        help: expect.stringMatching(/\d+ bytes shorter/),
      });
      await (await createQemuDriver({ dataDir, confined: true })).close();
    } finally {
      await rm(above, { recursive: true });
    }
  });
});
