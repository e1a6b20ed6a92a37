import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Driver } from '../../../src/drivers/driver.ts';
import { readDisk } from '../../../src/drivers/qemu/layered-disk.ts';
import type { BootStep } from '../../../src/drivers/supervised/boot.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { eventually } from '../../support/eventually.ts';
import { type Bundle, bundle } from '../support/bundle.ts';
import { never, newBoxId, newSnapshotId, specOf, unhurried } from '../support/spec.ts';
import { openQemuHarness, type QemuHarness } from './support/qemu-harness.ts';
import { describeMachines } from './support/test-image.ts';

await describeMachines('machines that stand ready', () => {
  let harness: QemuHarness;
  let program: Bundle;
  const failures: string[] = [];
  let stood = 0;
  beforeAll(async () => {
    program = await bundle(new URL('../support/dying-hand-over.ts', import.meta.url));
    harness = await openQemuHarness({
      readyMachines: 1,
      machineStands: () => {
        stood += 1;
      },
      templateFailed: (error) => failures.push(String(error)),
    });
    // The first goes on from the template, and has another made ready.
    const { id } = await boot();
    await harness.sh(id, 'true');
    await isReady();
    await harness.driver.kill(id);
  });
  afterAll(async () => {
    await harness?.close();
    await program?.remove();
  });

  const boot = async (id = newBoxId(), generation = 1, driver: Driver = harness.driver) => {
    const { process } = await driver.boot(specOf(id, generation), never);
    return { id, process };
  };
  const readyIds = () => readdir(join(harness.dataDir, 'ready', 'run'));
  const isReady = (before = stood) => eventually('one that stands ready', () => stood > before, 60_000);
  /** Processes of the shims that began as those of machines to stand ready, by their runs. */
  const shims = async () => {
    const found = new Map<string, number>();
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const run = environment.split('\0').find((line) => line.startsWith(`BL_RUN=${harness.dataDir}/`));
      if (run?.includes('/ready/') === true && !found.has(run)) found.set(run, Number(pid)); // the first is the shim itself
    }
    return found;
  };

  test('become boxes without a disk, of which none is like another, and others take their places', async () => {
    const seen: string[][] = [];
    const ids: BoxId[] = [];
    for (let index = 0; index < 2; index += 1) {
      const [before, [ready]] = [stood, await readyIds()];
      const { id } = await boot();
      ids.push(id);
      expect(await readyIds()).not.toContain(ready);
      const look = 'hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1; date +%s; ls ~';
      const said = (await harness.sh(id, look)).split('\n');
      expect(said[0]).toBe('a-box');
      expect(said[1]).toBe('a'.repeat(32));
      expect(Math.abs(Number(said[3]) - Date.now() / 1_000)).toBeLessThan(30);
      expect(said[4]).toBe('');
      seen.push(said);
      await isReady(before);
    }
    expect(seen[0]?.[2]).not.toBe(seen[1]?.[2]);
    const [first = newBoxId(), second = newBoxId()] = ids;
    await harness.sh(first, 'echo first > ~/mine; sync');
    expect(await harness.sh(second, 'ls ~')).toBe('');
    for (const id of ids) await harness.driver.kill(id);
    expect(await harness.readDisk(first, 'mine')).toBe('first\n');
    expect(failures).toEqual([]);
  });

  test('one that has died meanwhile is passed over, and the box starts without it', async () => {
    const before = stood;
    const { id: first } = await boot();
    await harness.sh(first, 'true');
    await isReady(before);
    const [waiting = ''] = await readyIds();
    const run = join(harness.dataDir, 'ready', 'run', waiting);
    const { nonce } = JSON.parse(await readFile(join(run, 'boot.json'), 'utf8'));
    const [pid] = (await readFile(join(run, nonce, 'main'), 'utf8')).split(' ');
    process.kill(Number(pid), 'SIGKILL');
    await eventually('its end', () => readFile(join(run, nonce, 'exit'), 'utf8').catch(() => undefined));
    const { id } = await boot();
    expect(await harness.sh(id, 'echo up')).toBe('up\n');
    expect(failures.splice(0)).toEqual([expect.stringContaining('has ended')]);
    for (const each of [first, id]) await harness.driver.kill(each);
  });

  test('are boxes like any other afterwards: snapshots, another instance, a later start with the same disk', async () => {
    const { id, process } = await boot();
    await harness.sh(id, 'echo kept > ~/kept; sync');
    await harness.driver.freeze(id, process);
    await harness.driver.snapshotDisk(id, newSnapshotId(), unhurried);
    await harness.driver.unfreeze(id, process);
    await harness.sh(id, 'echo later > ~/later; sync');
    await harness.driver.close();
    expect(await readyIds()).toEqual([]);
    const next = await harness.another();
    expect(await next.observe(id)).toMatchObject({ kind: 'running', generation: 1, process });
    expect(await harness.sh(id, 'cat ~/later')).toBe('later\n');
    await next.kill(id);
    expect(await next.observe(id)).toMatchObject({ kind: 'ended', exit: { signal: 'SIGKILL' } });
    expect((await readDisk(join(harness.dataDir, 'boxes', id, 'disk'))).layers).toHaveLength(2);
    await boot(id, 2, next);
    expect(await harness.sh(id, 'cat ~/kept ~/later')).toBe('kept\nlater\n');
    await next.kill(id);
    await next.removeDisk(id);
    expect(await harness.leavings(id)).toEqual([]);
    await next.close();
  });

  test.each(['disk', 'recorded', 'spawned', 'up'] satisfies BootStep[])(
    'a service that is killed (SIGKILL) after step %s of making one a box leaves a box or none, and nothing besides',
    async (step) => {
      const id = newBoxId();
      const args = [program.path, harness.dataDir, id, step];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
      expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
      const next = await harness.another();
      expect((await shims()).size).toBe(step === 'up' ? 1 : 0); // a shim keeps the name that it began with
      expect(await readyIds()).toEqual([]);
      expect((await next.observe(id)).kind).toBe(step === 'up' ? 'running' : 'absent');
      await boot(id, 1, next);
      expect(await harness.sh(id, 'echo > ~/file; ls ~')).toBe('file\n');
      await next.kill(id);
      await next.close();
      expect(await readyIds()).toEqual([]);
      expect((await shims()).size).toBe(0);
    },
  );
});
