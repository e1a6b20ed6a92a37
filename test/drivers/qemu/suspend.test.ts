import { cp, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomIds } from '../../../src/main/random-ids.ts';
import { eventually } from '../../support/eventually.ts';
import { never, newBoxId, newSnapshotId, specOf, unhurried } from '../support/spec.ts';
import { openQemuHarness, type QemuHarness } from './support/qemu-harness.ts';
import { describeMachines } from './support/test-image.ts';

await describeMachines('machines that are suspended to disk', () => {
  let harness: QemuHarness;
  beforeAll(async () => {
    harness = await openQemuHarness();
  });
  afterAll(() => harness?.close());

  const boot = async (id = newBoxId(), generation = 1) => {
    const { process } = await harness.driver.boot(specOf(id, generation), never);
    return { id, process };
  };
  const counting = 'i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.02; done';
  const count = async (id: Parameters<QemuHarness['sh']>[0]) =>
    Number(await harness.sh(id, 'cat /tmp/count'));
  const inBackground = async (id: Parameters<QemuHarness['sh']>[0], command: string) => {
    const agent = await harness.guest(id);
    const execId = randomIds.execId();
    const spec = { command: 'sh', args: ['-c', command], env: {} };
    await agent.startExec(execId, spec, { env: {}, workingDir: undefined }, AbortSignal.timeout(50_000));
    agent.close();
    return execId;
  };
  const filesOf = async (id: string) => readdir(join(harness.dataDir, 'boxes', id));

  test('go on where they were, with their programs and the same process, and take nothing meanwhile', async () => {
    const { id, process } = await boot();
    const execId = await inBackground(
      id,
      `echo here > ~/here; (${counting}) & read line < /tmp/gate || sleep 1000`,
    );
    await eventually('it counts', async () => (await harness.sh(id, 'cat /tmp/count 2>/dev/null')) !== '');
    const controller = new AbortController();
    const end = harness.driver.ended(id, process, controller.signal);
    await harness.driver.suspend(id, process, never);
    expect(await harness.leavings(id)).toEqual([]);
    expect(await harness.driver.observe(id)).toEqual({
      kind: 'running',
      generation: 1,
      process,
      frozen: true,
    });
    await harness.driver.suspend(id, process, never); // already so
    await harness.driver.freeze(id, process);

    await harness.driver.unfreeze(id, process);
    expect(await harness.driver.observe(id)).toMatchObject({ kind: 'running', process, frozen: false });
    const at = await count(id);
    await eventually('it counts on', async () => (await count(id)) > at);
    expect(await harness.sh(id, 'cat ~/here')).toBe('here\n');
    expect(Math.abs(Number(await harness.sh(id, 'date +%s')) - Date.now() / 1_000)).toBeLessThan(30);
    expect(await filesOf(id)).not.toContain('memory');
    const agent = await harness.guest(id);
    await agent.signalExec(execId, 'SIGTERM', AbortSignal.timeout(20_000));
    expect((await agent.waitExec(execId, AbortSignal.timeout(20_000))).exit).toMatchObject({
      kind: 'signal',
    });
    agent.close();
    await harness.driver.kill(id);
    expect(await end).toEqual({ kind: 'signal', signal: 'SIGKILL' });
  });

  test('wait on disk for another instance, and have snapshots taken of them', async () => {
    const { id, process } = await boot();
    await inBackground(id, counting);
    await harness.sh(id, 'echo kept > ~/kept; sync');
    await harness.driver.suspend(id, process, never);
    await harness.driver.snapshotDisk(id, newSnapshotId(), unhurried);
    await expect(harness.driver.restoreDisk(id, newSnapshotId(), unhurried)).rejects.toMatchObject({
      code: expect.stringMatching(/NotFound|InvalidState/),
    });
    const next = await harness.another();
    expect(await next.observe(id)).toMatchObject({ kind: 'running', process, frozen: true });
    await next.unfreeze(id, process);
    const at = await count(id);
    await eventually('it counts on', async () => (await count(id)) > at);
    await harness.sh(id, 'echo more > ~/more; sync');
    await next.suspend(id, process, never); // once more
    await next.unfreeze(id, process);
    expect(await harness.sh(id, 'cat ~/kept ~/more')).toBe('kept\nmore\n');
    await next.kill(id);
    await next.close();
  });

  test('end when they are killed, with nothing of their memory left', async () => {
    const { id, process } = await boot();
    await harness.driver.suspend(id, process, never);
    const end = harness.driver.ended(id, process, never);
    await harness.driver.kill(id);
    expect(await end).toEqual({ kind: 'signal', signal: 'SIGKILL' });
    expect(await harness.driver.observe(id)).toMatchObject({ kind: 'ended', generation: 1 });
    expect(await filesOf(id)).toEqual(['disk']);
    await boot(id, 2);
    await harness.driver.kill(id);
  });

  test('whose memory is not what it was are said to be so, and start afresh with their disks', async () => {
    const { id, process } = await boot();
    await harness.sh(id, 'echo kept > ~/kept; sync');
    await harness.driver.suspend(id, process, never);
    const memory = join(harness.dataDir, 'boxes', id, 'memory', 'memory');
    const whole = await readFile(memory);
    await truncate(memory, 1_000_000);
    const damaged = { code: 'Internal', message: expect.stringContaining('damaged') };
    await expect(harness.driver.unfreeze(id, process)).rejects.toMatchObject(damaged);
    expect(await harness.driver.observe(id)).toMatchObject({ kind: 'running', frozen: true });
    await writeFile(memory, whole);
    await harness.driver.unfreeze(id, process);
    expect(await harness.sh(id, 'cat ~/kept')).toBe('kept\n');
    await harness.driver.suspend(id, process, never);
    await truncate(memory, 1_000_000);
    await boot(id, 2);
    expect(await harness.sh(id, 'cat ~/kept')).toBe('kept\n');
    await harness.driver.kill(id);
  });

  test('that went on before their memory was put away have done nothing since, and are suspended', async () => {
    const { id, process } = await boot();
    await harness.driver.suspend(id, process, never);
    const memory = join(harness.dataDir, 'boxes', id, 'memory');
    await cp(memory, `${memory}.copy`, { recursive: true });
    await harness.driver.unfreeze(id, process);
    await rename(`${memory}.copy`, memory);
    expect(await harness.driver.observe(id)).toEqual({
      kind: 'running',
      generation: 1,
      process,
      frozen: true,
    });
    expect(await harness.leavings(id)).toEqual([]);
    await harness.driver.kill(id);
  });

  test('a suspension that is broken off leaves a machine that stands still and can go on', async () => {
    const { id, process } = await boot();
    await inBackground(id, counting);
    const reason = new Error('broken off');
    const breaking = new AbortController();
    const suspended = harness.driver.suspend(id, process, breaking.signal);
    await eventually('it is being written', async () =>
      (await filesOf(id)).includes('memory.new') ? true : undefined,
    );
    breaking.abort(reason);
    await expect(suspended).rejects.toBe(reason);
    expect(await filesOf(id)).toEqual(['disk']);
    await harness.driver.unfreeze(id, process);
    const at = await count(id);
    await eventually('it counts on', async () => (await count(id)) > at);
    await harness.driver.kill(id);
  });
});
