import { afterAll, beforeAll, expect, test } from 'vitest';
import { findCgroups, hasCpuLimit, hasMemoryLimit } from '../../../src/drivers/supervised/cgroup.ts';
import { openProcessHarness, type ProcessHarness } from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';

const cgroups = await findCgroups();

let harness: ProcessHarness;
beforeAll(async () => {
  harness = await openProcessHarness(undefined);
});
afterAll(() => harness?.close());

test.skipIf(!hasMemoryLimit(cgroups))('a box that takes more memory than it may ends visibly', async () => {
  const id = newBoxId();
  const { process } = await harness.driver.boot(specOf(id, 1, { memoryMib: 128 }), never);
  await harness
    .ask(id, 'void setInterval(() => (globalThis.kept ??= []).push(Buffer.alloc(8 << 20, 1)), 1)')
    .catch(() => undefined); // it may be gone before it answers
  expect(await harness.driver.ended(id, process, never)).toEqual({ kind: 'signal', signal: 'SIGKILL' });
  await harness.driver.kill(id);
  expect(await harness.leavings(id)).toEqual([]);
});

test.skipIf(!hasMemoryLimit(cgroups))(
  'a program that takes too much memory ends, and its box goes on',
  async () => {
    const id = newBoxId();
    await harness.driver.boot(specOf(id, 1, { memoryMib: 128 }), never);
    const signal = await harness.ask(
      id,
      `require('child_process').spawnSync(process.execPath, ['-e', 'const kept = []; for (;;) kept.push(Buffer.alloc(8 << 20, 1))']).signal`,
    );
    expect(signal).toBe('SIGKILL');
    expect(await harness.ask(id, '1 + 1')).toBe(2);
    await harness.driver.kill(id);
  },
);

test.skipIf(!hasCpuLimit(cgroups))('a box gets no more processor time than it may have', async () => {
  const id = newBoxId();
  await harness.driver.boot(specOf(id, 1, { cpus: 0.2 }), never);
  const cpuMs = await harness.ask<number>(
    id,
    '(() => { const t = process.cpuUsage(); const until = Date.now() + 1500; while (Date.now() < until); const { user, system } = process.cpuUsage(t); return (user + system) / 1000 })()',
  );
  expect(cpuMs).toBeLessThan(1500 * 0.5);
  await harness.driver.kill(id);
});

test('usage counts processor time, memory and processes', async () => {
  const id = newBoxId();
  await harness.driver.boot(specOf(id), never);
  await harness.ask(id, '0');
  const before = await harness.driver.usage(id);
  await harness.ask(id, '(() => { const until = Date.now() + 200; while (Date.now() < until); })()');
  await harness.ask(id, 'void require("child_process").spawn("sleep", ["1000"])');
  const after = await harness.driver.usage(id);
  expect(after?.cpuMs).toBeGreaterThan((before?.cpuMs ?? 0) + 20);
  expect(after?.memoryBytes).toBeGreaterThan(5 << 20);
  expect(after?.processes).toBeGreaterThan(before?.processes ?? 0);
  await harness.driver.kill(id);
});

test('more than the host has is refused, with every fault at once, and nothing is made', async () => {
  const id = newBoxId();
  const failure = await harness.driver
    .boot(specOf(id, 1, { cpus: 256, memoryMib: 1_048_576 }), never)
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 'InvalidArgument',
    faults: [{ field: 'options.cpus' }, { field: 'options.memoryMib' }],
  });
  expect(await harness.driver.list()).not.toContain(id);
});
