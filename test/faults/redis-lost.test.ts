import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { agentOf } from '../support/box-processes.ts';
import { insistently, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisServer, redisMissing, startRedis } from '../support/redis-server.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

const suite = redisMissing === undefined ? 'a server on Redis' : `a server on Redis: ${redisMissing}`;
const ran = ['box.created', 'box.startRequested', 'box.started'];
const stopped = [...ran, 'box.stopRequested', 'box.stopped'];
const removed = [...stopped, 'box.removeRequested', 'box.removed'];

describe.skipIf(redisMissing !== undefined)(suite, () => {
  let redis: RedisServer;
  let database: TestDatabase;
  let dataDir: DataDir;
  let server: TestServer;
  let client: Client;

  const serve = async (crashAt?: string) => {
    const options = { dataDir: dataDir.path, databaseUrl: database.url, redisUrl: redis.url };
    server = await startServer(crashAt === undefined ? options : { ...options, crashAt });
    client = connect({ address: server.address });
  };
  const flush = async () => {
    const admin = new Redis(redis.url);
    await admin.flushall();
    await admin.quit();
  };
  const create = async (name: string) => (await client.create({ name })).box.boxId;
  /** A running box that takes its time to stop: its agent does not answer. */
  const stubbornBox = async (name: string) => {
    const boxId = await create(name);
    await client.start(boxId);
    process.kill(await agentOf(boxId), 'SIGSTOP');
    return boxId;
  };
  const isBeingStopped = (boxId: string) =>
    eventually('the stop is under way', async () => (await client.get(boxId)).state === 'stopping');
  const expectGone = async (boxId: string) => {
    expect(await typesOf(client, boxId)).toEqual(removed);
    expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  };

  beforeAll(async () => {
    [redis, database, dataDir] = await Promise.all([startRedis(), createDatabase(), createDataDir()]);
    await serve();
  });
  beforeEach(() => {
    onTestFailed(() => console.info(server.log().slice(-20_000)));
  });
  afterAll(async () => {
    client?.close();
    await server?.stop();
    await redis?.stop();
    await dataDir?.remove();
    await database?.drop();
  });

  test('FLUSHALL while effects are under way and others wait loses and doubles nothing', async () => {
    const slow = await Promise.all(['slow-1', 'slow-2'].map(stubbornBox));
    const stops = slow.map((boxId) => client.stop(boxId, { guestTimeoutMs: 1_000 }));
    await Promise.all(slow.map(isBeingStopped));
    const boxes = await Promise.all(['quick-1', 'quick-2', 'quick-3'].map(create));
    const starts = boxes.map((boxId) => client.start(boxId));
    await flush();
    await Promise.all([...stops, ...starts]);
    await flush();
    for (const boxId of slow) expect(await typesOf(client, boxId)).toEqual(stopped);
    for (const boxId of boxes) expect(await typesOf(client, boxId)).toEqual(ran);
    await Promise.all([...slow, ...boxes].map((boxId) => client.remove(boxId, { force: true })));
    for (const boxId of [...slow, ...boxes]) await expectGone(boxId);
  });

  test('a restart of Redis while effects are under way, and commands while it is gone, lose and double nothing', async () => {
    const slow = await stubbornBox('slow-3');
    const stop = client.stop(slow, { guestTimeoutMs: 1_000 });
    await isBeingStopped(slow);
    const port = Number(new URL(redis.url).port);
    await redis.stop();
    const boxId = await create('meanwhile');
    expect((await client.start(boxId, { wait: false })).state).toBe('starting');
    redis = await startRedis(port);
    await client.wait(boxId, ['running']);
    await stop;
    expect(await typesOf(client, slow)).toEqual(stopped);
    expect(await typesOf(client, boxId)).toEqual(ran);
    await Promise.all([slow, boxId].map((id) => client.remove(id, { force: true })));
    for (const id of [slow, boxId]) await expectGone(id);
  });

  test.each(['enqueue.after:vm.boot', 'claim.after:vm.boot'])(
    'kill -9 at %s, and FLUSHALL before the next start: the box is started once',
    async (at) => {
      client.close();
      await server.stop();
      await serve(at);
      const name = at.replaceAll(/[.:]/g, '-');
      const boxId = await create(name);
      const start = client.start(boxId, { commandId: `start-${name}` }).catch(() => undefined); // its server dies
      expect(await server.ended).toBe('SIGKILL');
      await start;
      client.close();
      await flush();
      await serve();
      expect((await insistently(() => client.start(boxId, { commandId: `start-${name}` }))).state).toBe(
        'running',
      );
      expect(await typesOf(client, boxId)).toEqual(ran);
      await client.remove(boxId, { force: true });
      await expectGone(boxId);
    },
  );

  test('the server ends in good order, and nothing is left', async () => {
    expect(await server.stop()).toBe(0);
    expect(await processesOf(dataDir.path)).toEqual([]);
    await expectReplayEqualsHeads(database.url);
  });
});
