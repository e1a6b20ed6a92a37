import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { begin, run, sh } from '../support/guest-exec.ts';

const mib = 1024 * 1024;
/** What the agent or the client may grow by while any amount of output waits: buffers, and garbage not yet collected. */
const slackMib = 100;
let agent: TestAgent;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
});
afterAll(() => agent.stop());

test('a reader that stands still holds the program back, and memory stays bounded', async () => {
  const exec = begin(agent.guest, sh('head -c 268435456 /dev/zero; echo finished >&2'));
  const outputs = exec[Symbol.asyncIterator]();
  await outputs.next();
  const before = { host: process.memoryUsage().rss / mib, guest: (await agent.memoryMib()).now };
  let bytes = 0;
  let stderr = '';
  for (let next = await outputs.next(); next.done !== true; next = await outputs.next()) {
    const output = next.value;
    if (output.kind === 'stdout') {
      bytes += output.data.length;
      if (bytes % (8 * mib) < output.data.length) await turns(20); // slow, without a clock
    }
    if (output.kind === 'stderr') stderr += Buffer.from(output.data);
  }
  expect(bytes).toBe(256 * mib);
  expect(stderr).toBe('finished\n');
  expect((await agent.memoryMib()).peak - before.guest).toBeLessThan(slackMib);
  expect(process.memoryUsage().rss / mib - before.host).toBeLessThan(slackMib);
});

test('a program that is not read stops writing', async () => {
  const counter = `${agent.home}/written`;
  const script = `i=0; while :; do head -c 65536 /dev/zero; i=$((i + 1)); echo $i > ${counter}; done`;
  const stop = new AbortController();
  const exec = begin(agent.guest, sh(script), { signal: stop.signal });
  await exec[Symbol.asyncIterator]().next();
  const written = async () => Number((await run(agent.guest, sh(`cat ${counter}`))).stdout);
  let last = -1;
  await eventually('it has stopped', async () => {
    const now = await written();
    const same = now === last;
    last = now;
    return same && now > 0;
  });
  expect(last).toBeLessThan(200); // of 64 KiB each
  stop.abort();
});

test('a program that does not read its input holds the sender back, and memory stays bounded', async () => {
  const stop = new AbortController();
  const exec = begin(agent.guest, { command: 'sleep', args: ['1000'] }, { signal: stop.signal });
  await exec[Symbol.asyncIterator]().next();
  const before = (await agent.memoryMib()).now;
  let sent = 0;
  const sending = (async () => {
    for (; sent < 256; sent += 1) await exec.send({ kind: 'stdin', data: Buffer.alloc(mib) });
  })();
  const outcome = expect(sending).rejects.toThrow('enough');
  for (let looks = 0; looks < 5; looks += 1) await run(agent.guest, sh('true'));
  expect(sent).toBe(0); // the first MiB is not taken
  expect((await agent.memoryMib()).peak - before).toBeLessThan(slackMib);
  stop.abort(new Error('enough'));
  await outcome;
});

test('much input goes through a program that echoes it to a slow reader', async () => {
  const exec = begin(agent.guest, { command: 'cat' });
  const sending = (async () => {
    for (let sent = 0; sent < 64; sent += 1)
      await exec.send({ kind: 'stdin', data: Buffer.alloc(mib, sent) });
    await exec.send({ kind: 'end' });
  })();
  let bytes = 0;
  let inOrder = true;
  for await (const output of exec)
    if (output.kind === 'stdout') {
      for (const at of [0, output.data.length - 1])
        inOrder &&= output.data[at] === Math.floor((bytes + at) / mib);
      bytes += output.data.length;
      await turns(2);
    }
  await sending;
  expect({ bytes, inOrder }).toEqual({ bytes: 64 * mib, inOrder: true });
});

/** Lets everything else go on for a number of turns of the event loop. */
const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};
