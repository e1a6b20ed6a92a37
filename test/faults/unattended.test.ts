/** What boxes are given that nobody attends to: health checks, restarts, limits of time. All of it outlives a kill -9 of the server. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { type Client, connect, type Event } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { agentOf } from '../support/box-processes.ts';
import { eventsOf, outputOf, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { openSecondDoor } from '../support/second-door.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

let database: TestDatabase;
let dataDir: DataDir;
let door: Awaited<ReturnType<typeof openSecondDoor>>;
let server: TestServer;
let client: Client;
const serve = async () => {
  server = await startServer({ dataDir: dataDir.path, databaseUrl: database.url });
  client = connect({ address: server.address });
};
const killServer = async () => {
  client.close();
  await server.kill();
};

beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
  await serve(); // which makes the schema
  await server.stop();
  door = await openSecondDoor(database.url);
});
beforeEach(async () => {
  await serve();
  onTestFailed(() => console.info(server.log().slice(-20_000)));
});
afterEach(async () => {
  for await (const box of client.list()) await client.remove(box.boxId, { force: true });
  client.close();
  await server.stop();
});
afterAll(async () => {
  await door?.close();
  await expectReplayEqualsHeads(database.url);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await dataDir.remove();
  await database.drop();
});

const started = async (name: string, options: object) => {
  const boxId = await door.create(name, options);
  await client.start(boxId);
  return boxId;
};
/** The `count`-th event of the type; waits until it is there. */
const nth = async (boxId: string, type: string, count = 1): Promise<Event> => {
  let seen = 0;
  for await (const message of client.watch({ box: boxId, types: [type] })) {
    if (message.$case !== 'event') continue;
    seen += 1;
    if (seen === count) return message.value;
  }
  throw new Error('the watch ended');
};
const at = ({ occurredAt }: Event): number => occurredAt?.getTime() ?? Number.NaN;
const dataOf = ({ dataJson }: Event) => JSON.parse(dataJson);
const killAgent = async (boxId: string) => void process.kill(await agentOf(boxId), 'SIGKILL');
const expectSaidByHost = (event: Event, reason: string) => {
  expect(event.actor).toMatchObject({ kind: 'system', id: expect.stringMatching(/^host\/hs_/) });
  expect(event.reason).toContain(reason);
};

test('a box is started again when its agent is killed, later each time, and so often and no more', async () => {
  const boxId = await started('restarts', { restart: { policy: 'on-failure', maxRetries: 2 } });
  for (const attempt of [1, 2]) {
    await killAgent(boxId);
    const asked = await nth(boxId, 'box.startRequested', attempt + 1);
    const delayMs = 1_000 * 2 ** (attempt - 1);
    expect(dataOf(asked)).toMatchObject({ generation: attempt + 1, restart: { attempt, delayMs } });
    expect(at(await nth(boxId, 'box.started', attempt + 1)) - at(asked)).toBeGreaterThanOrEqual(delayMs - 5);
    expect(await outputOf(client, boxId, 'echo', ['up'])).toBe('up\n');
  }
  await killAgent(boxId);
  await nth(boxId, 'box.exited', 3);
  expect((await client.get(boxId)).state).toBe('stopped');
  expect((await typesOf(client, boxId)).filter((type) => type === 'box.startRequested')).toHaveLength(3);
});

test('a restart that is put off outlives a kill -9 of the server', async () => {
  const boxId = await started('put-off', { restart: { policy: 'always' } });
  await killAgent(boxId);
  const asked = await nth(boxId, 'box.startRequested', 2);
  await killServer();
  await serve();
  const again = await nth(boxId, 'box.started', 2);
  expect(at(again) - at(asked)).toBeGreaterThanOrEqual(995);
  expect(await outputOf(client, boxId, 'echo', ['up'])).toBe('up\n');
});

test('a box that ended while its server was killed is started again by its policy', async () => {
  const boxId = await started('unseen', { restart: { policy: 'always' } });
  await killServer();
  await killAgent(boxId);
  await serve();
  expect(dataOf(await nth(boxId, 'box.startRequested', 2))).toMatchObject({ restart: { attempt: 1 } });
  await nth(boxId, 'box.started', 2);
});

test('health by a command: healthy, unhealthy, healthy again, and the asking outlives a kill -9 of the server (10)', async () => {
  const healthCheck = {
    command: ['test', '-e', 'well'],
    intervalMs: 200,
    timeoutMs: 5_000,
    retries: 2,
    startPeriodMs: 60_000,
  };
  const boxId = await started('patient', { healthCheck });
  const health = async (count: number) => dataOf(await nth(boxId, 'box.healthChanged', count));
  await outputOf(client, boxId, 'touch', ['well']);
  expect(await health(1)).toEqual({ health: 'healthy' });
  await outputOf(client, boxId, 'rm', ['well']);
  expect(await health(2)).toMatchObject({
    health: 'unhealthy',
    failure: { message: 'the health check exited with code 1' },
  });
  await killServer();
  await serve();
  expect((await client.get(boxId)).health).toBe('unhealthy');
  await outputOf(client, boxId, 'touch', ['well']);
  expect(await health(3)).toEqual({ health: 'healthy' });
  expect((await eventsOf(client, boxId)).filter(({ type }) => type === 'box.healthChanged')).toHaveLength(3);
});

test('a health check that hangs is killed in its time', async () => {
  const healthCheck = {
    command: ['sleep', '1000'],
    intervalMs: 100,
    timeoutMs: 300,
    retries: 1,
    startPeriodMs: 0,
  };
  const boxId = await started('hangs', { healthCheck });
  expect(dataOf(await nth(boxId, 'box.healthChanged'))).toMatchObject({
    health: 'unhealthy',
    failure: { code: 'DeadlineExceeded' },
  });
  const asking = async () => (await processesOf(boxId)).filter((line) => /: sleep 1000/.test(line));
  const first = await eventually('it is asked', async () => (await asking())[0]);
  await eventually('it is asked by another process, and the first has gone', async () => {
    const now = await asking();
    return now.length > 0 && !now.includes(first);
  });
});

test('a pause of limited duration ends by itself, and outlives a kill -9 of the server', async () => {
  const boxId = await started('paused', {});
  await door.pause(boxId, 2_000);
  const paused = await nth(boxId, 'box.paused');
  await killServer();
  await serve();
  const asked = await nth(boxId, 'box.resumeRequested');
  expectSaidByHost(asked, 'paused for 2 s, as long as the pause was to last');
  expect(at(asked) - at(paused)).toBeGreaterThanOrEqual(2_000);
  await nth(boxId, 'box.resumed');
  expect(await outputOf(client, boxId, 'echo', ['awake'])).toBe('awake\n');
});

test('a lifetime outlives a kill -9 of the server', async () => {
  const boxId = await started('mayfly', { maxLifetimeMs: 2_500, restart: { policy: 'always' } });
  await killServer();
  await serve();
  const asked = await nth(boxId, 'box.stopRequested');
  expectSaidByHost(asked, 'up for 2.5 s, its maximum lifetime');
  expect(at(asked) - at(await nth(boxId, 'box.started'))).toBeGreaterThanOrEqual(2_500);
  await nth(boxId, 'box.stopped');
  expect((await client.get(boxId)).state).toBe('stopped');
});

test('an idle box is stopped, and not while an exec goes on in it', async () => {
  const boxId = await door.create('idle', { idleTimeoutMs: 2_000 });
  await outputOf(client, boxId, 'sleep', ['3']);
  const asked = await nth(boxId, 'box.stopRequested');
  expectSaidByHost(asked, 'idle for 2 s');
  expect(at(asked) - at(await nth(boxId, 'box.started'))).toBeGreaterThanOrEqual(5_000);
  await nth(boxId, 'box.stopped');
});

test('an idle box is stopped also when its server was killed meanwhile', async () => {
  const boxId = await started('idle-later', { idleTimeoutMs: 2_000 });
  await killServer();
  await serve();
  expectSaidByHost(await nth(boxId, 'box.stopRequested'), 'idle for 2 s');
  await nth(boxId, 'box.stopped');
});

test('a box that is to be removed once it has run is, also when it ended while its server was killed', async () => {
  const [live, later] = [
    await started('once', { autoRemove: true }),
    await started('once-later', { autoRemove: true }),
  ];
  await killAgent(live);
  await nth(live, 'box.removed');
  await killServer();
  await killAgent(later);
  await serve();
  await nth(later, 'box.removed');
  for (const boxId of [live, later]) expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  expect(await typesOf(client, later)).toEqual([
    ...[
      'box.created',
      'box.startRequested',
      'box.started',
      'box.exited',
      'box.removeRequested',
      'box.removed',
    ],
  ]);
});
