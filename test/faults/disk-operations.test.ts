import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import {
  type BoxId,
  boxId as parseBoxId,
  effectId as parseEffectId,
  hostId as parseHostId,
  snapshotId,
} from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { agentOf } from '../support/box-processes.ts';
import { insistently, outputOf, runInBackground, typesOf } from '../support/box-stories.ts';
import { type DiskOrders, openDiskOrders } from '../support/disk-orders.ts';
import { eventually } from '../support/eventually.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

/** What happens while the server is halted (SIGSTOP) in the midst of a snapshot, with the box frozen. */

let postgres: OwnPostgres;
let dataDir: DataDir;
let orders: DiskOrders;
let server: TestServer;
let client: Client;
/** Another server, which halts where it is told. */
const serve = async (haltsAt: 'bracket.paused' | 'bracket.copied') => {
  client?.close();
  await server?.stop();
  const crashAt = `${haltsAt}:disk.snapshot,SIGSTOP`;
  server = await startServer({ dataDir: dataDir.path, databaseUrl: postgres.url, crashAt });
  client = connect({ address: server.address, retries: 0 });
};
beforeAll(async () => {
  [postgres, dataDir] = await Promise.all([startOwnPostgres(), createDataDir()]);
  await serve('bracket.paused');
  orders = await openDiskOrders(postgres.url);
});
beforeEach(() => {
  onTestFailed(() => console.info(server.log().slice(-20_000)));
});
afterAll(async () => {
  client?.close();
  await orders?.close();
  await server?.kill();
  await dataDir?.remove();
  await postgres?.close();
});

const upTo = ['box.created', 'box.startRequested', 'box.started'];
const ticks = async (boxId: string) => (await stat(join(dataDir.path, 'boxes', boxId, 'disk/ticks'))).size;
const runsOn = async (boxId: string) => {
  const seen = await ticks(boxId);
  await eventually('the box runs on', async () => (await ticks(boxId)) > seen);
};
/** A box that writes, held for a snapshot by a server that is halted. */
const heldBox = async (name: string): Promise<BoxId> => {
  const { boxId } = (await client.create({ name })).box;
  await client.start(boxId);
  await runInBackground(client, boxId, 'while :; do printf . >> ~/ticks; sleep 0.02; done');
  await eventually('it writes', async () => (await ticks(boxId).catch(() => 0)) > 0);
  const id = snapshotId(`sn_${randomIds.boxId().slice(3)}`);
  const asked = { type: 'box.snapshot', boxId: parseBoxId(boxId), snapshotId: id, name: 'kept' } as const;
  await orders.ask({ ...asked, consistency: 'best-effort' });
  await eventually('the server is halted', async () => {
    const text = await readFile(`/proc/${server.pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('T');
  });
  const seen = await ticks(boxId);
  await orders.view(boxId); // some time
  expect(await ticks(boxId)).toBe(seen);
  return parseBoxId(boxId);
};
const goOn = () => void process.kill(server.pid, 'SIGCONT');

test('Postgres dies in the midst of a bracket: the box is let go at once, and the outcome told when Postgres is back', async () => {
  const boxId = await heldBox('without-postgres');
  await postgres.kill();
  goOn();
  await runsOn(boxId);
  await postgres.start();
  await insistently(() => client.get(boxId));
  expect(await orders.done(boxId)).toMatchObject({ state: 'running', snapshots: [{ name: 'kept' }] });
  expect(await typesOf(client, boxId)).toEqual([...upTo, 'box.snapshotRequested', 'box.snapshotCreated']);
  expect(await outputOf(client, boxId, 'echo', ['here'])).toBe('here\n');
}, 120_000);

test('a worker that was halted in a bracket for longer than its lease is fenced off; the snapshot is made once', async () => {
  await serve('bracket.copied');
  const boxId = await heldBox('halted');
  const [row] = await postgres.query(
    `UPDATE boxledger.effects SET lease_until = statement_timestamp()
     WHERE box_id = $1 AND state = 'claimed' RETURNING effect_id, host_id, holder_epoch`,
    [boxId],
  );
  if (row === undefined) throw new Error('nothing is under way');
  const effectId = parseEffectId(String(row['effect_id']));
  const host = { hostId: parseHostId(String(row['host_id'])), epoch: Number(row['holder_epoch']) };
  const second = await orders.outbox.claim(effectId, host, 60_000);
  if (second.kind !== 'claimed') throw new Error(`the effect is ${second.kind}`);
  goOn();
  await eventually('the first is told', () => /"stopped":"lost"|came too late/.test(server.log()));
  await runsOn(boxId);
  expect(await orders.view(boxId)).toMatchObject({ operation: { kind: 'snapshot' }, snapshots: [] });
  expect(await orders.outbox.release(second.effect, 0, {})).toBe(true);
  await postgres.query('UPDATE boxledger.effects SET last_enqueued_at = NULL WHERE effect_id = $1', [
    effectId,
  ]);
  expect(await orders.done(boxId)).toMatchObject({ state: 'running', snapshots: [{ name: 'kept' }] });
  expect(await typesOf(client, boxId)).toEqual([...upTo, 'box.snapshotRequested', 'box.snapshotCreated']);
  await runsOn(boxId);
}, 120_000);

test('a stop that overtakes a snapshot takes all of the box down, and the snapshot is not one of the box', async () => {
  await serve('bracket.paused');
  const boxId = await heldBox('overtaken');
  await orders.ask({ type: 'box.stop', boxId });
  goOn();
  await client.wait(boxId, ['stopped']);
  expect(await leavingsOf(dataDir.path, boxId)).toEqual([]);
  expect(await typesOf(client, boxId)).toEqual([
    ...[...upTo, 'box.snapshotRequested', 'box.stopRequested', 'box.stopped'],
  ]);
  expect(await orders.view(boxId)).toMatchObject({ state: 'stopped', operation: null, snapshots: [] });
  // Its name is free, and the box is as good as any.
  const again = { type: 'box.snapshot', boxId, snapshotId: snapshotId('sn_0000000000000009') } as const;
  await serve('bracket.copied');
  await client.start(boxId);
  await client.stop(boxId);
  await orders.ask({ ...again, name: 'kept', consistency: 'required' });
  expect(await orders.done(boxId)).toMatchObject({ state: 'stopped', snapshots: [{ name: 'kept' }] });
}, 120_000);

test('a box that dies while it is held has ended, whatever becomes of the snapshot', async () => {
  await serve('bracket.paused');
  const boxId = await heldBox('dies');
  process.kill(await agentOf(boxId), 'SIGKILL');
  goOn();
  await client.wait(boxId, ['stopped']);
  const types = await typesOf(client, boxId);
  expect(types.filter((type) => type === 'box.exited')).toHaveLength(1);
  expect(await orders.view(boxId)).toMatchObject({ state: 'stopped', operation: null, effect: null });
  const processes = (await leavingsOf(dataDir.path, boxId)).filter((it) => it.startsWith('process'));
  expect(processes).toEqual([]);
  await client.remove(boxId);
  expect(await leavingsOf(dataDir.path, boxId)).toEqual([]);
}, 120_000);

test('the boxes can be removed, and nothing is left', async () => {
  for await (const box of client.list()) await client.remove(box.boxId, { force: true });
  expect(await server.stop()).toBe(0);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await expectReplayEqualsHeads(postgres.url);
});
