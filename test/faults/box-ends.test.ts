import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { type Client, connect, type Exit } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { endAgentByCode } from '../support/agent-exit.ts';
import { agentOf } from '../support/box-processes.ts';
import { codeOf, eventsOf, outputOf, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

let database: TestDatabase;
let dataDir: DataDir;
let server: TestServer;
let client: Client;
const serve = async () => {
  server = await startServer({ dataDir: dataDir.path, databaseUrl: database.url });
  client = connect({ address: server.address });
};
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
});
beforeEach(async () => {
  await serve();
  onTestFailed(() => console.info(server.log().slice(-20_000)));
});
afterEach(async () => {
  client?.close();
  await server?.stop();
});
afterAll(async () => {
  await expectReplayEqualsHeads(database.url);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await dataDir.remove();
  await database.drop();
});

/** Ways in which a box ends that nobody has asked to stop, and what its log is to say of the exit. */
const ends: Record<string, { readonly how: NonNullable<Exit['how']>; end(boxId: string): Promise<void> }> = {
  'its agent is killed': {
    how: { $case: 'signal', value: 'SIGKILL' },
    end: async (boxId) => void process.kill(await agentOf(boxId), 'SIGKILL'),
  },
  'its agent is told to end, and does in good order': {
    how: { $case: 'code', value: 0 },
    end: async (boxId) => void process.kill(await agentOf(boxId), 'SIGTERM'),
  },
  'its agent fails': {
    how: { $case: 'code', value: 7 },
    end: (boxId) => endAgentByCode(boxId, 7),
  },
};

const startedBox = async (name: string) => {
  const { boxId } = (await client.create({ name })).box;
  await client.start(boxId);
  return boxId;
};

/** Waits for the event that says so. */
const exitOf = async (boxId: string) => {
  for await (const message of client.watch({ box: boxId, types: ['box.exited'] }))
    if (message.$case === 'event') return message.value;
  throw new Error('the watch ended');
};

describe.each(Object.entries(ends))('a box of which %s (11, 16)', (what, { how, end }) => {
  const name = what.replaceAll(/[^a-z]+/g, '-').slice(0, 40);

  test('has exited, within a second, while its server is up', async () => {
    const boxId = await startedBox(`${name}-live`);
    const began = Date.now();
    await end(boxId);
    const event = await exitOf(boxId);
    const tookMs = (event.occurredAt?.getTime() ?? 0) - began;
    console.info(`${what}: recorded after ${tookMs} ms`);
    expect(tookMs).toBeLessThan(5_000); // a second on a machine that is not busy
    const box = await client.get(boxId);
    expect(box.state).toBe('stopped');
    expect(box.exit?.how).toEqual(how);
    expect(await typesOf(client, boxId)).toEqual([
      'box.created',
      'box.startRequested',
      'box.started',
      'box.exited',
    ]);
    expect(event.actor?.kind).toBe('system');
    await client.remove(boxId);
    expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  });

  test('has exited just so when its server comes back', async () => {
    const boxId = await startedBox(`${name}-later`);
    client.close();
    await server.kill();
    await end(boxId);
    await serve();
    await exitOf(boxId);
    const box = await client.get(boxId);
    expect(box.state).toBe('stopped');
    expect(box.exit?.how).toEqual(how);
    expect(await typesOf(client, boxId)).toEqual([
      'box.created',
      'box.startRequested',
      'box.started',
      'box.exited',
    ]);
    await client.start(boxId);
    expect(await outputOf(client, boxId, 'echo', ['again'])).toBe('again\n');
    await client.remove(boxId, { force: true });
    expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  });
});

test('a paused box whose agent was killed is stopped all the same, and stays down', async () => {
  const boxId = await startedBox('paused');
  await client.pause(boxId);
  process.kill(await agentOf(boxId), 'SIGKILL');
  // Frozen by its cgroup, it does not die of the signal before it is let go.
  expect(await codeOf(client.stop(boxId))).toBe('ok');
  expect((await client.get(boxId)).state).toBe('stopped');
  expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  await client.remove(boxId);
});

test('a box that ends while it is being used says so to its user, and in the log of the exec', async () => {
  const boxId = await startedBox('in-use');
  const exec = client.exec(boxId, 'sleep', { args: ['1000'] });
  let execId = '';
  const ended = codeOf(
    (async () => {
      for await (const output of exec) {
        if (output.kind !== 'started') continue;
        execId = output.execId;
        process.kill(await agentOf(boxId), 'SIGKILL');
      }
    })(),
  );
  expect(await ended).toBe('Unavailable');
  await exitOf(boxId);
  const types: string[] = [];
  for await (const event of client.readStream(`exec/${execId}`)) types.push(event.type);
  expect(types).toEqual(['exec.requested', 'exec.started', 'exec.lost']);
  expect((await eventsOf(client, boxId)).at(-1)?.type).toBe('box.exited');
  await client.remove(boxId);
});
