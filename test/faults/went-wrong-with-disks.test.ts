import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import { ByteReader } from '../../src/drivers/box-archive/byte-reader.ts';
import { decompressed } from '../../src/drivers/box-archive/frames.ts';
import { type BoxId, exportId, boxId as parseBoxId, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { eventsOf, outputOf, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type DiskOrders, openDiskOrders } from '../support/disk-orders.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

/** What went wrong in systems of this kind, by the numbers that docs/box-lifecycle.md gives them: those that are about disks. */

let database: TestDatabase;
let dataDir: DataDir;
let server: TestServer;
let client: Client;
let orders: DiskOrders;
const serve = async (crashAt?: string) => {
  const options = { dataDir: dataDir.path, databaseUrl: database.url };
  server = await startServer(crashAt === undefined ? options : { ...options, crashAt });
  client = connect({ address: server.address, retries: 0 });
};
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
  await serve();
  orders = await openDiskOrders(database.url);
});
beforeEach(() => {
  onTestFailed(() => console.info(server.log().slice(-20_000)));
});
afterAll(async () => {
  for await (const box of client.list()) await client.remove(box.boxId, { force: true });
  client.close();
  await orders.close();
  expect(await server.stop()).toBe(0);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await dataDir.remove();
  await database.drop();
});

const still = { consistency: 'best-effort' } as const;
const startedBox = async (name: string, env: Record<string, string> = {}): Promise<BoxId> => {
  const { boxId } = (await client.create({ name, options: { env } })).box;
  await client.start(boxId);
  return parseBoxId(boxId);
};
const shell = (boxId: string, script: string) => outputOf(client, boxId, 'sh', ['-c', script]);
const inBoxes = (...path: readonly string[]) => join(dataDir.path, 'boxes', ...path);

test('12: a restore that is killed leaves the old disk or the new one, and ends as the new one', async () => {
  const boxId = await startedBox('twelve');
  await shell(boxId, 'echo old > ~/file');
  const id = snapshotId('sn_0000000000000012');
  await orders.ask({ type: 'box.snapshot', boxId, snapshotId: id, name: 'good', ...still });
  await orders.done(boxId);
  await shell(boxId, 'echo new > ~/file; echo more > ~/other');
  await client.stop(boxId);
  for (const crashAt of ['effect.before:disk.restore', 'restore.done:disk.restore']) {
    client.close();
    await server.stop();
    await serve(crashAt);
    await orders.ask({ type: 'box.restore', boxId, snapshot: 'good' });
    expect(await server.ended).toBe('SIGKILL');
    const isRestored = crashAt.startsWith('restore.done');
    expect((await readdir(inBoxes(boxId, 'disk'))).sort()).toEqual(isRestored ? ['file'] : ['file', 'other']);
    client.close();
    await serve();
    await orders.done(boxId);
    expect((await readdir(inBoxes(boxId))).sort()).toEqual(['disk', 'snapshots']);
    expect(await readdir(inBoxes(boxId, 'disk'))).toEqual(['file']);
    expect(await readFile(inBoxes(boxId, 'disk/file'), 'utf8')).toBe('old\n');
    await writeFile(inBoxes(boxId, 'disk/other'), 'written again');
  }
  expect((await typesOf(client, boxId)).filter((type) => type === 'box.restored')).toHaveLength(2);
});

test('13: a batch of clones that fails half-way leaves no box and no disk of any of them', async () => {
  const boxId = await startedBox('thirteen');
  const clones = [1, 2, 3].map((n) => ({ boxId: randomIds.boxId(), name: `thirteen-${n}` }));
  // Somebody's disk is in the way of the last.
  const [one, two, last] = clones.map((clone) => clone.boxId);
  await mkdir(inBoxes(last ?? '', 'disk'), { recursive: true });
  await writeFile(inBoxes(last ?? '', 'disk', 'precious'), 'of somebody');
  await orders.ask({ type: 'box.clone', boxId, clones, ...still });
  expect(await orders.done(boxId)).toMatchObject({ state: 'running', failure: { code: 'AlreadyExists' } });
  expect((await typesOf(client, boxId)).slice(3)).toEqual(['box.cloneRequested', 'box.cloneFailed']);
  for (const clone of clones)
    await expect(client.get(clone.boxId)).rejects.toMatchObject({ code: 'NotFound' });
  const there = await readdir(inBoxes());
  expect(there).not.toContain(one);
  expect(there).not.toContain(two);
  expect(await readFile(inBoxes(last ?? '', 'disk', 'precious'), 'utf8')).toBe('of somebody');
  expect(await readdir(inBoxes(boxId))).toEqual(['disk']);
  // Their names are free.
  for (const { name } of clones) await client.create({ name });
});

test('14: an export carries no value of the environment, unless it is asked to', async () => {
  const secret = 'a-token-that-nobody-else-has';
  const boxId = await startedBox('fourteen', { TOKEN: secret });
  await shell(boxId, 'echo hello > ~/file');
  const archived = async (includeEnv: boolean) => {
    const id = exportId(`xp_${randomIds.boxId().slice(3)}`);
    await orders.ask({ type: 'box.export', boxId, exportId: id, includeEnv, ...still });
    expect(await orders.done(boxId)).toMatchObject({ state: 'running', failure: null });
    const archive = await readFile(join(dataDir.path, 'exports', id, 'archive.tar.zst'));
    const chunks: Buffer[] = [];
    for await (const chunk of decompressed(new ByteReader(once(archive)))) chunks.push(chunk);
    return Buffer.concat(chunks).toString('latin1');
  };
  const without = await archived(false);
  expect(without).toContain('hello');
  expect(without).not.toContain(secret);
  expect(await archived(true)).toContain(secret);
  // What the log says of an export says nothing of it either.
  for (const { type, dataJson } of await eventsOf(client, boxId))
    if (type !== 'box.created') expect(dataJson).not.toContain(secret);
});

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
