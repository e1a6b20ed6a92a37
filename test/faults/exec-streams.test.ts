import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, connect } from '../../src/sdk/client.ts';
import { agentOf } from '../support/box-processes.ts';
import { eventually } from '../support/eventually.ts';
import { createDataDir, type DataDir, startServer, type TestServer } from '../support/server.ts';

/** Programs in a real box, through a real server that is killed and started again under them. */
let dataDir: DataDir;
let server: TestServer;
let client: Client;
beforeAll(async () => {
  dataDir = await createDataDir();
  server = await startServer({ dataDir: dataDir.path });
  client = connect({ address: server.address });
  await client.create({ name: 'box', options: { cpus: 2 } });
  await client.start('box');
});
afterAll(async () => {
  await client.remove('box', { force: true });
  client.close();
  await server.stop();
  await dataDir.remove();
});

const mib = 1024 * 1024;
const rssMib = async (pid: number) => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1]) / 1024;
};
const agentPid = async () => agentOf((await client.get('box')).boxId);
/** Lets everything else go on for a number of turns of the event loop. */
const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};
const restart = async () => {
  await server.kill();
  const listen = ['--listen', server.address];
  server = await startServer({ dataDir: dataDir.path, arguments: listen });
};
const typesOf = async (execId: string) => {
  const types: string[] = [];
  for await (const event of client.readStream(`exec/${execId}`)) types.push(event.type);
  return types;
};

test('1 GiB goes through a client that reads in bursts, and memory stays bounded', async () => {
  const exec = client.exec('box', 'head', { args: ['-c', String(1024 * mib), '/dev/zero'] });
  void exec.endStdin();
  const before = await rssMib(server.pid);
  const agentBefore = await rssMib(await agentPid());
  let bytes = 0;
  let exit: unknown;
  for await (const output of exec) {
    if (output.kind === 'exited') exit = output.exit?.how;
    if (output.kind !== 'stdout') continue;
    bytes += output.data.length;
    if (bytes % (16 * mib) < output.data.length) await turns(100);
  }
  expect({ bytes, exit }).toMatchObject({ bytes: 1024 * mib, exit: { $case: 'code', value: 0 } });
  expect((await rssMib(server.pid)) - before).toBeLessThan(150);
  expect((await rssMib(await agentPid())) - agentBefore).toBeLessThan(150);
}, 400_000); // some ten seconds where nothing else runs

test('200 execs at once in one box all return their own output', async () => {
  const results = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const exec = client.exec('box', 'sh', { args: ['-c', `echo ${index}; cat; exit ${index}`] });
      void exec.sendStdin(Buffer.from(`in${index}`)).then(() => exec.endStdin());
      let stdout = '';
      let code: unknown;
      for await (const output of exec) {
        if (output.kind === 'stdout') stdout += Buffer.from(output.data);
        if (output.kind === 'exited') code = output.exit?.how?.value;
      }
      return [stdout, code];
    }),
  );
  expect(results).toEqual(results.map((_, index) => [`${index}\nin${index}`, index]));
});

test('a server that is killed under a program: its reader misses nothing, and the log has its end', async () => {
  const script = 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.02; done; exit 7';
  const exec = client.exec('box', 'sh', { args: ['-c', script], reattach: true });
  let execId = '';
  let stdout = '';
  let code: unknown;
  let restarting: Promise<void> | undefined;
  for await (const output of exec) {
    if (output.kind === 'started') execId = output.execId;
    if (output.kind === 'stdout') stdout += Buffer.from(output.data);
    if (output.kind === 'exited') code = output.exit?.how?.value;
    if (stdout.includes('line 20\n')) restarting ??= restart();
  }
  await restarting;
  expect({ stdout, code }).toEqual({
    stdout: Array.from({ length: 200 }, (_, index) => `line ${index}\n`).join(''),
    code: 7,
  });
  expect(await typesOf(execId)).toEqual(['exec.requested', 'exec.started', 'exec.exited']);
});

test('a program that ends while the server is away has its exit code in the log, and its output is there', async () => {
  const { execId, pid } = await client.execs.start('box', 'sh', {
    args: ['-c', 'sleep 1; echo late; exit 5'],
  });
  expect(pid).toBeGreaterThan(0);
  await restart();
  expect(await client.execs.wait(execId)).toMatchObject({
    state: 'exited',
    exited: { exit: { how: { value: 5 } } },
  });
  let stdout = '';
  for await (const output of client.execs.attach(execId))
    if (output.kind === 'stdout') stdout += Buffer.from(output.data);
  expect(stdout).toBe('late\n');
});

test('a program is ended with its box, and its end is in the log before its reader hears of it', async () => {
  const exec = client.exec('box', 'sleep', { args: ['1000'] });
  let execId = '';
  const reading = (async () => {
    for await (const output of exec) if (output.kind === 'started') execId = output.execId;
  })().catch((error: unknown) => error);
  await eventually('it runs', () => execId !== '');
  await client.stop('box');
  await reading;
  expect((await typesOf(execId)).slice(0, 2)).toEqual(['exec.requested', 'exec.started']);
  expect((await typesOf(execId)).at(-1)).toMatch(/^exec\.(exited|lost)$/);
  await client.start('box');
});
