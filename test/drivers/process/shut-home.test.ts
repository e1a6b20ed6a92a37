import { expect, test } from 'vitest';
import { chunksOf, forge } from '../support/forged-archive.ts';
import { openProcessHarness, workingModes } from '../support/process-harness.ts';
import { never, newBoxId, specOf, unhurried } from '../support/spec.ts';

const archive = await forge({ entries: [{ path: 'disk', kind: 'directory', mode: 0 }] });

for (const mode of await workingModes())
  test(`a box that shut its home to itself boots in mode ${mode}, and can open it again`, async () => {
    const harness = await openProcessHarness(mode);
    try {
      const id = newBoxId();
      await harness.driver.importDisk(id, chunksOf(archive), unhurried);
      await harness.driver.boot(specOf(id), never);
      await harness.ask(id, 'require("fs").chmodSync(process.env.HOME, 0o700)');
      await harness.ask(id, 'require("fs").writeFileSync(process.env.HOME + "/file", "x")');
      expect(await harness.readDisk(id, 'file')).toBe('x');
    } finally {
      await harness.close();
    }
  });
