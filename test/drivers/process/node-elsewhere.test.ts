import { chmod, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { makeDataDir, standInAgent, workingModes } from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';
import { askAgent } from '../support/stand-in.ts';

let directory: string;
let nodePath: string;
beforeAll(async () => {
  directory = await makeDataDir();
  nodePath = join(directory, 'bin', 'node');
  await chmod(directory, 0o755);
  await mkdir(join(directory, 'bin'));
  await cp(process.execPath, nodePath);
});
afterAll(() => rm(directory, { recursive: true }));

for (const mode of await workingModes())
  test(`by ${mode}, a box runs on a Node outside of the system's directories, and sees it alone`, async () => {
    const driver = await createProcessDriver({
      dataDir: join(directory, mode),
      agentPath: standInAgent,
      nodePath,
      mode,
    });
    const ask = async (expression: string) => {
      const id = newBoxId();
      await driver.boot(specOf(id), never);
      try {
        return await askAgent(driver, id, expression);
      } finally {
        await driver.kill(id);
      }
    };
    const version = 'require("child_process").execSync("node --version && command -v node").toString()';
    const seen = mode === 'plain' ? nodePath : '/opt/node/bin/node';
    await writeFile(join(directory, 'secret'), '');
    expect(await ask(version)).toBe(`${process.version}\n${seen}\n`);
    if (mode === 'plain') return;
    expect(await ask('require("fs").readdirSync("/opt/node")')).toEqual(['bin']);
    // With its headers beside it, it is an installation, and all of it is there.
    await mkdir(join(directory, 'include/node'), { recursive: true });
    await writeFile(join(directory, 'include/node/node.h'), '');
    expect(await ask('require("fs").readdirSync("/opt/node")')).toContain('include');
    await rm(join(directory, 'include'), { recursive: true });
  });
