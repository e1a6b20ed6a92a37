import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { readIdentity } from '../../../src/drivers/supervised/boot-record.ts';
import { layoutOf } from '../../../src/drivers/supervised/layout.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { eventually, untilValue } from '../../support/eventually.ts';
import {
  makeDataDir,
  openProcessHarness,
  type ProcessHarness,
  standInAgent,
  workingModes,
} from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';

for (const mode of await workingModes())
  describe(`by ${mode}`, () => {
    let harness: ProcessHarness;
    beforeAll(async () => {
      harness = await openProcessHarness(mode);
    });
    afterAll(() => harness?.close());

    const shimOf = async (id: BoxId) => {
      const box = layoutOf(harness.dataDir).box(id);
      const { nonce, bootId } = JSON.parse(await readFile(box.record, 'utf8'));
      const shim = await readIdentity(box.attempt(nonce).shim, bootId);
      if (shim === undefined) throw new Error('there is no shim');
      return shim;
    };

    test('a box does not outlive its shim; nobody saw how it ended', async () => {
      const id = newBoxId();
      const { process: main } = await harness.driver.boot(specOf(id), never);
      await harness.ask(id, 'void require("child_process").spawn("sleep", ["1000"], { detached: true })');
      process.kill((await shimOf(id)).pid, 'SIGKILL');
      expect(await harness.driver.ended(id, main, never)).toEqual({ kind: 'unknown' });
      expect(await harness.driver.observe(id)).toMatchObject({ kind: 'ended', exit: { kind: 'unknown' } });
      await harness.driver.kill(id);
      expect(await harness.leavings(id)).toEqual([]);
    });

    test("a kill -9 of the box's outermost process is seen as such", async () => {
      const id = newBoxId();
      const { process: main } = await harness.driver.boot(specOf(id), never);
      const ended = harness.driver.ended(id, main, never);
      process.kill(main.pid, 'SIGKILL');
      expect(await ended).toEqual({ kind: 'signal', signal: 'SIGKILL' });
      await harness.driver.kill(id);
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('what a program left behind when the box ended goes with the kill', async () => {
      const id = newBoxId();
      await harness.driver.boot(specOf(id), never);
      await harness.ask(
        id,
        'void require("child_process").spawn("sh", ["-c", "sleep 1000 & sleep 1000"], { detached: true }).unref()',
      );
      await harness.exitByItself(id, 3);
      await untilValue(
        () => harness.driver.observe(id),
        ({ kind }) => kind === 'ended',
      );
      await harness.driver.kill(id);
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('the console tells what the box said last, and cannot drive a terminal', async () => {
      const id = newBoxId();
      await harness.driver.boot(specOf(id), never);
      await harness.ask(id, 'console.log("\\u001b[31mred\\u202e", Buffer.from([0xff]).toString())');
      const tail = await untilValue(
        () => harness.driver.consoleTail(id, 1000),
        (text) => text.includes('red'),
      );
      expect(tail).toContain('\\x1b[31mred\\u{202e} \\u{fffd}\n');
      await harness.ask(
        id,
        'new Promise((done) => process.stdout.write("x".repeat(4 << 20) + "the end", () => done()))',
      );
      await untilValue(
        () => harness.driver.consoleTail(id, 7),
        (text) => text === 'the end',
      );
      expect((await harness.driver.consoleTail(id, 10 << 20)).length).toBeLessThan(1.1 * (1 << 20));
      await harness.driver.kill(id);
      expect(await harness.driver.consoleTail(id, 7)).toBe('the end');
    });

    // Of a plain box nothing has to be made but its process.
    if (mode !== 'plain')
      test('a box that cannot be made fails with what it said last; its disk stays', async () => {
        const { driver, dataDir, close, leavings } = await openProcessHarness(mode);
        onTestFinished(close);
        const { scripts } = layoutOf(dataDir);
        for (const name of await readdir(scripts))
          if (name.startsWith('agent-')) await rm(join(scripts, name));
        const id = newBoxId();
        const failure = await driver.boot(specOf(id), never).catch((error: unknown) => error);
        expect(failure).toMatchObject({
          code: 'Internal',
          details: { console: expect.stringContaining('agent') },
        });
        expect(await driver.observe(id)).toEqual({ kind: 'absent' });
        expect(await driver.list()).toEqual([id]);
        expect(await leavings(id)).toEqual([]);
      });

    test('a data directory with a long name and spaces works', async () => {
      const above = await makeDataDir();
      onTestFinished(() => rm(above, { recursive: true }));
      const dataDir = join(above, `a long name ${'x'.repeat(150)}`);
      await mkdir(dataDir, { mode: 0o711 });
      const { driver, ask, close, leavings } = await openProcessHarness(mode, { dataDir });
      onTestFinished(close);
      const id = newBoxId();
      await driver.boot(specOf(id), never);
      expect(Buffer.byteLength(driver.guestAddress(id) ?? '')).toBeLessThan(108);
      expect(await ask(id, '6 * 7')).toBe(42);
      await driver.kill(id);
      expect(await leavings(id)).toEqual([]);
    });

    test('the box cannot make the host connect to a socket that is not its own', async () => {
      const dataDir = await makeDataDir();
      let connections = 0;
      const decoy = createServer((connection) => {
        connections += 1;
        connection.end();
      });
      onTestFinished(() => void decoy.close());
      const decoyPath = join(dataDir, 'decoy.sock');
      await new Promise<void>((resolve) => decoy.listen(decoyPath, resolve));
      const agentPath = join(dataDir, 'agent.cjs');
      const source = await readFile(join(standInAgent, '../decoy-agent.cjs'), 'utf8');
      await writeFile(agentPath, source.replace('DECOY', decoyPath));
      const { driver, ask, close } = await openProcessHarness(mode, { dataDir, agentPath });
      onTestFinished(close);
      const id = newBoxId();
      await driver.boot(specOf(id), never);
      expect(await ask(id, '0')).toBe('the box');
      expect(connections).toBe(0);
    });
  });

test('files that the box made unreadable to itself are removed with the disk', async () => {
  const harness = await openProcessHarness(undefined);
  onTestFinished(harness.close);
  const id = newBoxId();
  await harness.driver.boot(specOf(id), never);
  await harness.ask(
    id,
    'void require("child_process").execSync("mkdir -p ~/a/b && touch ~/a/b/c && chmod 0 ~/a/b ~/a")',
  );
  await harness.driver.kill(id);
  await harness.driver.removeDisk(id);
  expect(await harness.driver.list()).toEqual([]);
});

test('a box whose leavings cannot be cleared away is told of, and keeps the driver from no other', async () => {
  const harness = await openProcessHarness(undefined);
  onTestFinished(harness.close);
  const { dataDir } = harness;
  const [stuck, other] = [newBoxId(), newBoxId()];
  const layout = layoutOf(dataDir);
  await mkdir(layout.box(other).staging, { recursive: true });
  // Not even root reads it as a directory.
  await mkdir(layout.box(stuck).box, { recursive: true });
  await writeFile(layout.box(stuck).staging, '');
  const told: BoxId[] = [];
  const notCleared = (boxId: BoxId) => told.push(boxId);
  const next = await createProcessDriver({ dataDir, agentPath: standInAgent, notCleared });
  expect(told).toEqual([stuck]);
  expect(await next.list()).toEqual([stuck]);
  await rm(layout.box(stuck).staging);
});

test('a disk that is half made is made anew, one that is complete is never written over', async () => {
  const harness = await openProcessHarness(undefined);
  onTestFinished(harness.close);
  const id = newBoxId();
  const box = layoutOf(harness.dataDir).box(id);
  await mkdir(`${box.disk}.new`, { recursive: true, mode: 0o711 });
  await writeFile(join(`${box.disk}.new`, 'half'), '');
  await harness.driver.boot(specOf(id), never);
  expect(await harness.ask(id, 'require("fs").readdirSync(process.env.HOME)')).toEqual([]);
  await harness.writeDisk(id, 'mark', 'here');
  await harness.driver.kill(id);
  await cp(box.disk, `${box.disk}.new`, { recursive: true });
  await harness.driver.boot(specOf(id, 2), never);
  expect(await harness.readDisk(id, 'mark')).toBe('here');
  await harness.driver.kill(id);
});

test('what an earlier boot of the machine left is known to have ended, and no pid of it is touched', async () => {
  const harness = await openProcessHarness(undefined);
  onTestFinished(harness.close);
  const id = newBoxId();
  const { process: main } = await harness.driver.boot(specOf(id), never);
  const { record } = layoutOf(harness.dataDir).box(id);
  const written = await readFile(record, 'utf8');
  // Groups are gone after a boot of the machine; pids may be anybody's.
  await writeFile(record, JSON.stringify({ ...JSON.parse(written), bootId: 'another-boot', cgroup: {} }));
  expect(await harness.driver.observe(id)).toMatchObject({ kind: 'ended', exit: { kind: 'unknown' } });
  const { isAlive } = await import('../../../src/os/process-identity.ts');
  expect(await isAlive(main)).toBe(true);
  // Back to the truth, so that it can be ended.
  await writeFile(record, written);
  const attempt = layoutOf(harness.dataDir).box(id).attempt(JSON.parse(written).nonce);
  await rm(attempt.exit, { force: true });
  await harness.driver.kill(id);
  await eventually('its end', async () => !(await isAlive(main)));
  // Without its lifeline the shim was killed too, so its helper, which looks for the socket, is left to end by itself.
  await eventually('nothing of it is left', async () => (await harness.leavings(id)).length === 0);
});

test('where root can place no box, that is said with the reason', async () => {
  if (process.getuid?.() !== 0) return;
  const dataDir = await makeDataDir('/root');
  await chmod('/root', 0o700);
  const failure = await createProcessDriver({ dataDir, agentPath: standInAgent, mode: 'plain' }).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ code: 'Unsupported', details: { plain: expect.any(String) } });
  await rm(dataDir, { recursive: true });
});
