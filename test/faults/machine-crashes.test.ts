import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { randomIds } from '../../src/main/random-ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { describeMachines, giveImage } from '../drivers/qemu/support/test-image.ts';
import { memoryMib } from '../drivers/support/spec.ts';
import { insistently, outputOf, runInBackground, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

/** Where the server is killed while it takes a snapshot of a machine in which a program writes all the time. */
const inSnapshot = ['bracket.frozen', 'bracket.paused', 'bracket.copied', 'bracket.resumed'] as const;

await describeMachines('machines whose server is killed (SIGKILL)', () => {
  let database: TestDatabase;
  let dataDir: DataDir;
  let server: TestServer | undefined;
  let client: Client;
  let boxId = '';
  const serve = async (crashAt?: string) => {
    client?.close();
    await server?.kill();
    const options = { dataDir: dataDir.path, databaseUrl: database.url, driver: 'qemu' } as const;
    server = await startServer(crashAt === undefined ? options : { ...options, crashAt });
    client = connect({ address: server.address, retries: 0 });
  };
  beforeAll(async () => {
    [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
    await giveImage(dataDir.path);
    await serve('boot.spawned:vm.boot');
  });
  afterAll(async () => {
    client?.close();
    await server?.kill();
    await dataDir?.remove();
    await database?.drop();
  });

  /** Asks, and waits until the server has died of it. */
  const dyingOf = async (asked: Promise<unknown>) => {
    onTestFailed(() => console.info(server?.log().slice(-10_000)));
    await Promise.allSettled([asked]);
    expect(await server?.ended).toBe('SIGKILL');
  };
  const ticks = async () => Number(await outputOf(client, boxId, 'sh', ['-c', 'wc -c < ~/ticks']));
  const writesOn = async () => {
    const before = await ticks();
    await eventually('the program to write on', async () => (await ticks()) > before);
  };

  test('once its machine is spawned has the start ended by the next one', async () => {
    boxId = (await client.create({ name: 'machine', options: { memoryMib } })).box.boxId;
    await dyingOf(client.start(boxId));
    await serve();
    await eventually('it to run', async () => (await client.get(boxId)).state === 'running', 60_000);
    expect(await typesOf(client, boxId)).toEqual(['box.created', 'box.startRequested', 'box.started']);
    await outputOf(client, boxId, 'sh', ['-c', 'echo here > ~/before']);
    await runInBackground(client, boxId, 'while :; do printf . >> ~/ticks; sleep 0.05; done');
  });

  test.each(inSnapshot)(
    'at %s has the snapshot ended by the next one, and the machine goes on',
    async (point) => {
      await serve(`${point}:disk.snapshot`);
      const name = point.replace('.', '-');
      await dyingOf(client.disks.createSnapshot(boxId, { name, commandId: randomIds.commandId() }));
      await serve();
      await eventually('the snapshot', async () => {
        const { operation, snapshots } = await client.get(boxId);
        return operation === undefined && snapshots.some((snapshot) => snapshot.name === name);
      });
      expect((await client.get(boxId)).state).toBe('running');
      await writesOn();
    },
  );

  test.each([
    ['pause', 'effect.before:vm.pause'],
    ['pause', 'effect.after:vm.pause'],
    ['resume', 'effect.before:vm.resume'],
    ['resume', 'effect.after:vm.resume'],
  ] as const)(
    'once it was asked to %s a machine to disk, at %s, has that done by the next one',
    async (what, crashAt) => {
      const paused = async () => {
        await client.pause(boxId, { toDisk: true });
        expect((await client.get(boxId)).pause).toMatchObject({ toDisk: true });
      };
      if (what === 'resume') await paused();
      await serve(crashAt);
      await dyingOf(what === 'pause' ? client.pause(boxId, { toDisk: true }) : client.resume(boxId));
      await serve();
      if (what === 'pause') {
        const isPaused = async () => (await client.get(boxId)).state === 'paused';
        await eventually('it to be paused', isPaused, 60_000);
        expect(await processesOf(boxId)).toEqual([]);
        await serve(); // another life, to which it is but files
        await client.resume(boxId);
      }
      await eventually('it to run', async () => (await client.get(boxId)).state === 'running', 60_000);
      await writesOn();
    },
  );

  test('once the guest was asked to end is stopped by the next one, with all that was written', async () => {
    await serve('shutdown.asked:vm.shutdown');
    await dyingOf(client.stop(boxId));
    await serve();
    await eventually('it to have stopped', async () => (await client.get(boxId)).state === 'stopped');
    await insistently(() => client.disks.restoreSnapshot(boxId, 'bracket-copied'));
    await client.start(boxId);
    expect(await outputOf(client, boxId, 'sh', ['-c', 'cat ~/before'])).toBe('here\n');
  });

  test('leaves nothing once its boxes are removed', async () => {
    await client.remove(boxId, { force: true });
    expect(await server?.stop()).toBe(0);
    expect(await processesOf(dataDir.path)).toEqual([]);
    await expectReplayEqualsHeads(database.url);
  });
});
