import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest';
import type { BoxView } from '../../src/events/box-view.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import { diskCrashPoints } from '../../src/kernel/crash-point.ts';
import { exportId, boxId as parseBoxId, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { eventsOf, outputOf, runInBackground, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type DiskOrders, openDiskOrders } from '../support/disk-orders.ts';
import { eventually } from '../support/eventually.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';
import { namesBelow, treeDigest } from '../support/tree-digest.ts';

type Kind = 'snapshot' | 'clone' | 'export' | 'restore';

/** Where the server is killed, and in what. No two in a row are of one kind: the next server must come past the point of the last. */
const crashes: readonly [point: (typeof diskCrashPoints)[number], kind: Kind][] = [
  ['bracket.frozen', 'snapshot'],
  ['bracket.frozen', 'clone'],
  ['bracket.frozen', 'export'],
  ['bracket.paused', 'snapshot'],
  ['bracket.paused', 'clone'],
  ['bracket.paused', 'export'],
  ['bracket.copied', 'snapshot'],
  ['bracket.copied', 'clone'],
  ['bracket.copied', 'export'],
  ['bracket.resumed', 'snapshot'],
  ['bracket.resumed', 'clone'],
  ['bracket.resumed', 'export'],
  ['snapshot.done', 'snapshot'],
  ['clone.some', 'clone'],
  ['export.written', 'export'],
  ['clone.all', 'clone'],
  ['restore.done', 'restore'],
];
const crashAt = ([point, kind]: (typeof crashes)[number]) => `${point}:disk.${kind}`;

let database: TestDatabase;
let dataDir: DataDir;
let orders: DiskOrders;
let server: TestServer | undefined;
let client: Client;
/** Where the server that runs is going to die. */
let dies: string | undefined;
const serve = async (at: string | undefined) => {
  client?.close();
  await server?.kill();
  const options = { dataDir: dataDir.path, databaseUrl: database.url };
  server = await startServer(at === undefined ? options : { ...options, crashAt: at });
  client = connect({ address: server.address, retries: 0 });
  dies = at;
};
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
  await serve(crashAt(crashes[0] ?? ['bracket.frozen', 'snapshot']));
  orders = await openDiskOrders(database.url);
});
afterAll(async () => {
  client?.close();
  await orders?.close();
  await server?.kill();
  await dataDir?.remove();
  await database?.drop();
});

const boxPath = (boxId: string, ...rest: readonly string[]) => join(dataDir.path, 'boxes', boxId, ...rest);
const freshId = (prefix: string) => `${prefix}_${randomIds.boxId().slice(3)}`;
const clonesOf = (name: string) =>
  [1, 2].map((n) => ({ boxId: randomIds.boxId(), name: `${name}-clone-${n}` }));
const ticks = async (boxId: string) => (await stat(boxPath(boxId, 'disk', 'ticks'))).size;
const lastOf = async (boxId: string) => {
  const event = (await eventsOf(client, boxId)).at(-1);
  return { type: event?.type, data: JSON.parse(event?.dataJson ?? 'null') };
};

/** A box with something of each kind on its disk, in which a program writes all the time. */
const busyBox = async (name: string) => {
  const { boxId } = (await client.create({ name })).box;
  await client.start(boxId);
  const make =
    'mkdir -p ~/tree/deep && head -c 300000 /dev/urandom > ~/tree/deep/bytes && ln -s deep ~/tree/link';
  await outputOf(client, boxId, 'sh', ['-c', make]);
  await runInBackground(client, boxId, 'while :; do printf . >> ~/ticks; sleep 0.02; done');
  await eventually('it writes', async () => (await ticks(boxId).catch(() => 0)) > 0);
  return parseBoxId(boxId);
};

/** What is asked of a box, and what is to hold once it has come about. */
interface Order {
  readonly command: BoxCommand;
  /** The events that it begins and ends with. */
  readonly events: readonly [string, string];
  /** Names below `boxes` that there are besides the box's disk. */
  readonly leaves: readonly string[];
  holds(view: BoxView): Promise<void>;
}
type OrderOf = (boxId: BoxView['boxId'], name: string, constant: string) => Order;
const still = { consistency: 'best-effort' } as const;

const orderOf: Record<Kind, OrderOf> = {
  snapshot: (boxId, _name, constant) => {
    const id = snapshotId(freshId('sn'));
    return {
      command: { type: 'box.snapshot', boxId, snapshotId: id, name: 'kept', ...still },
      events: ['box.snapshotRequested', 'box.snapshotCreated'],
      leaves: ['snapshots', `snapshots/${id}`, `snapshots/${id}/disk`, `snapshots/${id}/figures.json`].map(
        (it) => `${boxId}/${it}`,
      ),
      holds: async ({ snapshots, standsOn }) => {
        expect(snapshots).toMatchObject([{ snapshotId: id, name: 'kept', parent: null }]);
        expect(standsOn).toBe(id);
        expect(await treeDigest(boxPath(boxId, 'snapshots', id, 'disk'), ['ticks'])).toBe(constant);
      },
    };
  },
  clone: (boxId, name, constant) => {
    const clones = clonesOf(name);
    return {
      command: { type: 'box.clone', boxId, clones, ...still },
      events: ['box.cloneRequested', 'box.cloned'],
      leaves: clones.flatMap((clone) => [clone.boxId, `${clone.boxId}/disk`, `${clone.boxId}/origin.json`]),
      holds: async () => {
        const wholes = new Set<string>();
        for (const clone of clones) {
          expect(await orders.view(clone.boxId)).toMatchObject({ state: 'stopped', name: clone.name });
          const disk = boxPath(clone.boxId, 'disk');
          expect(await treeDigest(disk, ['ticks'])).toBe(constant);
          wholes.add(await treeDigest(disk));
        }
        // All as the box was at one moment, though it wrote on between the attempts.
        expect(wholes.size).toBe(1);
      },
    };
  },
  export: (boxId) => {
    const id = exportId(freshId('xp'));
    return {
      command: { type: 'box.export', boxId, exportId: id, includeEnv: false, ...still },
      events: ['box.exportRequested', 'box.exported'],
      leaves: [],
      holds: async () => {
        const { data } = await lastOf(boxId);
        const archive = await readFile(join(dataDir.path, 'exports', id, 'archive.tar.zst'));
        expect(data).toMatchObject({
          sizeBytes: archive.length,
          sha256: createHash('sha256').update(archive).digest('hex'),
        });
        expect((await readdir(join(dataDir.path, 'exports', id))).sort()).toEqual([
          'archive.tar.zst',
          'figures.json',
        ]);
      },
    };
  },
  restore: (boxId, _name, constant) => ({
    command: { type: 'box.restore', boxId, snapshot: 'kept' },
    events: ['box.restoreRequested', 'box.restored'],
    leaves: [],
    holds: async ({ snapshots, standsOn }) => {
      expect(standsOn).toBe(snapshots[0]?.snapshotId);
      expect(await treeDigest(boxPath(boxId, 'disk'), ['ticks'])).toBe(constant);
    },
  }),
};

test('every named crash point is tried', () => {
  expect(new Set(crashes.map(([point]) => point))).toEqual(new Set(diskCrashPoints));
});

describe('a server that is killed (SIGKILL) in the midst of an operation on a disk', () => {
  test.each(crashes)(
    'at %s of a %s: the next one ends it, and leaves nothing half done',
    async (point, kind) => {
      onTestFailed(() => console.info(server?.log().slice(-20_000)));
      const at = crashAt([point, kind]);
      if (dies !== at) await serve(at);
      const name = at.replaceAll(/[.:]/g, '-');
      const boxId = await busyBox(name);
      const constant = await treeDigest(boxPath(boxId, 'disk'), ['ticks']);
      const kept: readonly string[] = kind === 'restore' ? await stoppedAndChanged(boxId, constant) : [];
      const before = (await typesOf(client, boxId)).length;
      const { command, events, leaves, holds } = orderOf[kind](boxId, name, constant);

      await orders.ask(command);
      expect(await server?.ended).toBe('SIGKILL');
      const inTheMidst = await orders.view(boxId);
      expect(inTheMidst.operation?.kind).toBe(kind);
      const index = crashes.findIndex((crash) => crashAt(crash) === at);
      const next = crashes[index + 1];
      await serve(next && crashAt(next));

      const view = await orders.done(boxId);
      expect((await typesOf(client, boxId)).slice(before)).toEqual(events);
      await holds(view);
      if (kind === 'restore') await runsAgain(boxId);
      else await runsOn(boxId);
      expect(await boxFilesOf(boxId, leaves)).toEqual(
        [boxId, `${boxId}/disk`, ...leaves, ...kept].toSorted(),
      );
      expect(await namesBelow(join(dataDir.path, 'exports/staging'), 1).catch(() => [])).toEqual([]);
      await client.remove(boxId, { force: true });
    },
  );
});

/** Stops it, and writes to its disk what a restore takes back. Returns the names of its snapshot's files. */
const stoppedAndChanged = async (boxId: BoxView['boxId'], constant: string): Promise<readonly string[]> => {
  const { command, leaves } = orderOf.snapshot(boxId, '', constant);
  await orders.ask(command);
  await orders.done(boxId);
  await client.stop(boxId);
  await writeFile(boxPath(boxId, 'disk', 'later'), 'written after the snapshot');
  return leaves;
};

const runsOn = async (boxId: string) => {
  expect((await client.get(boxId)).state).toBe('running');
  const seen = await ticks(boxId);
  await eventually('the box runs on', async () => (await ticks(boxId)) > seen);
  expect(await outputOf(client, boxId, 'echo', ['thawed'])).toBe('thawed\n');
};

const runsAgain = async (boxId: string) => {
  expect((await client.get(boxId)).state).toBe('stopped');
  await client.start(boxId);
  expect(await outputOf(client, boxId, 'sh', ['-c', 'ls ~'])).toBe('ticks\ntree\n');
};

/** All that lies below `boxes`, down to the disks, of the box and of those that came of it. */
const boxFilesOf = async (boxId: string, leaves: readonly string[]): Promise<readonly string[]> => {
  const own = new Set([boxId, ...leaves.map((leaf) => leaf.split('/')[0] ?? '')]);
  const others = new Set<string>();
  for await (const box of client.list()) if (!own.has(box.boxId)) others.add(box.boxId);
  const names = await namesBelow(join(dataDir.path, 'boxes'), 4);
  return names
    .filter((name) => !others.has(name.split('/')[0] ?? ''))
    .filter((name) => !/\/disk\//.test(name));
};

test('all that was made in between can be removed, and then nothing is left', async () => {
  for await (const box of client.list()) await client.remove(box.boxId, { force: true });
  expect(await readdir(join(dataDir.path, 'boxes'))).toEqual([]);
  expect(await readdir(join(dataDir.path, 'run'))).toEqual(['scripts']);
  expect(await server?.stop()).toBe(0);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await expectReplayEqualsHeads(database.url);
});
