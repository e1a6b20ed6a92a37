import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { openProcessHarness, type ProcessHarness } from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';

let harness: ProcessHarness;
beforeAll(async () => {
  harness = await openProcessHarness(undefined);
});
afterAll(() => harness?.close());

test('the processes of a box are those that its programs are, with their arguments', async () => {
  const id = newBoxId();
  const { process } = await harness.driver.boot(specOf(id), never);
  const inner = await harness.ask<number>(
    id,
    '(globalThis.child = require("child_process").spawn("sleep", ["12345"])).pid',
  );
  const found = await eventually('sleep runs', async () => {
    const all = await harness.driver.processes(id);
    return all.some(({ command }) => command === 'sleep 12345') && all;
  });
  expect(found.map(({ command }) => command.split(' ')[0]?.split('/').at(-1))).toEqual(['node', 'sleep']);
  const [agent, sleep] = found;
  expect(sleep).toMatchObject({ pid: inner, stopped: false });
  expect(agent?.memoryBytes).toBeGreaterThan(1 << 20);
  expect(agent?.cpuMs).toBeGreaterThan(0);
  await harness.driver.freeze(id, process);
  expect((await harness.driver.processes(id)).map(({ stopped }) => stopped)).toEqual([true, true]);
  await harness.driver.kill(id);
  expect(await harness.driver.processes(id)).toEqual([]);
});

test('disk traffic is counted, also of a program that has ended', async () => {
  const id = newBoxId();
  await harness.driver.boot(specOf(id), never);
  const before = await harness.driver.usage(id);
  const write =
    'dd if=/dev/zero of="$HOME/file" bs=1M count=8 conv=fsync 2>/dev/null && stat -c %s "$HOME/file"';
  const written = await harness.ask<string>(
    id,
    `String(require('child_process').execSync(${JSON.stringify(write)}))`,
  );
  expect(written.trim()).toBe(String(8 << 20));
  const after = await harness.driver.usage(id);
  // A file system that is memory has no traffic; it must not have less than before.
  expect(after?.diskWrittenBytes).toBeGreaterThanOrEqual(before?.diskWrittenBytes ?? Number.NaN);
  await harness.driver.kill(id);
});

test('a console that is followed goes on over its turning, without loss or repetition, to the end of the box', async () => {
  const id = newBoxId();
  await harness.driver.boot(specOf(id), never);
  await harness.ask(id, 'void console.log("before\\u0007")');
  let text = '';
  const following = (async () => {
    for await (const part of harness.driver.followConsole(id, 4_096, never)) text += part;
  })();
  await eventually('what was there is given', async () => text.includes('before\\x07\n'));
  // The console turns after 128 writes.
  const [rounds, writes] = [20, 25];
  for (let round = 0; round < rounds; round += 1) {
    const from = round * writes;
    await harness.ask(
      id,
      `void (() => { for (let i = ${from}; i < ${from + writes}; i += 1) require('fs').writeSync(1, 'line ' + i + ' ä\\n') })()`,
    );
    await eventually('the round is given', async () => text.includes(`line ${from + writes - 1} ä\n`));
  }
  await harness.driver.kill(id);
  await following;
  const numbers = [...text.matchAll(/^line (\d+) ä$/gm)].map(([, number]) => Number(number));
  expect(numbers).toEqual(Array.from({ length: rounds * writes }, (_, number) => number));
});

test('who stops following leaves the box alone, and one that never ran has no console', async () => {
  const id = newBoxId();
  for await (const part of harness.driver.followConsole(id, 100, never)) throw new Error(part);
  await harness.driver.boot(specOf(id), never);
  for await (const part of harness.driver.followConsole(id, 100, never)) {
    expect(part.length).toBeLessThanOrEqual(100);
    break;
  }
  const stop = new AbortController();
  for await (const part of harness.driver.followConsole(id, 100, stop.signal)) {
    expect(part.length).toBeLessThanOrEqual(100);
    stop.abort();
  }
  expect((await harness.driver.observe(id)).kind).toBe('running');
  await harness.driver.kill(id);
});
