import { expect, test } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { createSimDriver } from '../../src/drivers/sim-driver.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxView } from '../../src/events/box-view.ts';
import { ArchiveShelf } from '../../src/hosts/archive-shelf.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type BoxId, type ExportId, hostId, snapshotId } from '../../src/kernel/ids.ts';
import { openPendingImports } from '../../src/main/pending-imports.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { silent } from '../support/plane.ts';
import { createDataDir } from '../support/server.ts';
import { someView } from '../support/some-view.ts';

const { signal } = new AbortController();
const minuteMs = 60_000;

/** A host's archives, on a real directory; the log is what the test says it knows. */
const shelved = async () => {
  const dataDir = await createDataDir();
  const driver = createSimDriver();
  const known = new Map<BoxId, BoxView>();
  const time = { ms: 0 };
  const pending = await openPendingImports(dataDir.path);
  const open = (other: Partial<ConstructorParameters<typeof ArchiveShelf>[0]> = {}) =>
    new ArchiveShelf({
      driver,
      boxes: { view: async (boxId) => known.get(boxId) },
      pending,
      placement: { hostId: hostId('hs_0123456789abcdef'), epoch: 1 },
      clock: { ...systemClock, monotonicMs: () => time.ms },
      log: silent,
      ...other,
    });
  return { driver, known, time, pending, open, [Symbol.asyncDispose]: () => dataDir.remove() };
};

/** The driver itself but for some of its methods. */
const changed = (driver: Driver, change: Partial<Driver>): Driver =>
  new Proxy(driver, {
    get: (target, property) => {
      const member: unknown = Reflect.get(property in change ? change : target, property);
      return typeof member === 'function' ? member.bind(target) : member; // it has private members
    },
  });

const makeArchive = async ({
  driver,
}: {
  readonly driver: ReturnType<typeof createSimDriver>;
}): Promise<ExportId> => {
  const boxId = randomIds.boxId();
  const kept = snapshotId('sn_0123456789abcdef');
  await driver.boot({ boxId, name: 'one', generation: 1, options: boxOptionsSchema.parse({}) }, signal);
  await driver.snapshotDisk(boxId, kept, { signal });
  const exportId = randomIds.exportId();
  const box = { name: 'one', options: {} };
  const manifest = {
    boxledgerVersion: '1',
    box,
    createdAt: systemClock.now(),
    consistency: 'crash',
  } as const;
  await driver.exportDisk({ boxId, snapshotId: kept }, exportId, manifest, { signal });
  return exportId;
};

test('an archive that nobody fetches is removed after a quarter of an hour', async () => {
  await using host = await shelved();
  const shelf = host.open();
  const exportId = await makeArchive(host);
  for (const ms of [0, 14 * minuteMs]) {
    host.time.ms = ms;
    await shelf.sweep();
    expect(await host.driver.listExports()).toEqual([exportId]);
  }
  host.time.ms = 15 * minuteMs;
  await shelf.sweep();
  expect(await host.driver.listExports()).toEqual([]);
});

test('the disk of an import that was never recorded goes at the next start, and no other', async () => {
  await using host = await shelved();
  const exportId = await makeArchive(host);
  const died = new BoxledgerError('Unavailable', 'the database is away');
  const [unknown, recorded] = [randomIds.boxId(), randomIds.boxId()];
  const importAs = async (boxId: BoxId) => {
    const archive = await host.driver.openExport(exportId);
    const importing = host.open().import(boxId, archive, signal, () => Promise.reject(died));
    await expect(importing).rejects.toBe(died);
  };
  await importAs(unknown);
  host.known.set(recorded, someView({ boxId: recorded }));
  await importAs(recorded);
  expect(new Set(await host.pending.list())).toEqual(new Set([unknown, recorded]));
  const others = (await host.driver.list()).filter((boxId) => boxId !== unknown);

  const next = host.open();
  await next.start();
  next.close();
  expect(new Set(await host.driver.list())).toEqual(new Set(others));
  expect(others).toContain(recorded);
  expect(await host.pending.list()).toEqual([]);
});

test('a refusal never takes the disk of a box that there is', async () => {
  await using host = await shelved();
  const archive = await host.driver.openExport(await makeArchive(host));
  const boxId = randomIds.boxId();
  const shelf = host.open();
  await shelf.import(boxId, archive, signal, async () => host.known.set(boxId, someView({ boxId })));
  const refused = new BoxledgerError('Conflict', 'for something else');
  await expect(shelf.import(boxId, archive, signal, () => Promise.reject(refused))).rejects.toBe(refused);
  expect(await host.driver.list()).toContain(boxId);
  expect(await host.pending.list()).toEqual([]);
});

test('a disk that cannot be removed keeps no host from starting, and is tried again at the next start', async () => {
  await using host = await shelved();
  const [stuck, other] = [randomIds.boxId(), randomIds.boxId()];
  for (const boxId of [stuck, other]) await host.pending.add(boxId);
  const removed: BoxId[] = [];
  const driver = changed(host.driver, {
    diskOrigin: async () => ({ kind: 'import' }),
    removeDisk: async (boxId: BoxId) => {
      if (boxId === stuck) throw new BoxledgerError('Internal', 'cannot remove the disk: EACCES');
      removed.push(boxId);
    },
  });
  const next = host.open({ driver });
  await next.start();
  next.close();
  expect(removed).toEqual([other]);
  expect(await host.pending.list()).toEqual([stuck]);
});

test('a database that is away is waited for', async () => {
  await using host = await shelved();
  await host.pending.add(randomIds.boxId());
  const away = new BoxledgerError('Unavailable', 'the database is away');
  await expect(host.open({ boxes: { view: () => Promise.reject(away) } }).start()).rejects.toBe(away);
});

test('an import that fails once its disk is there leaves no disk, or its mark until the next start', async () => {
  await using host = await shelved();
  const exportId = await makeArchive(host);
  const before = await host.driver.list();
  const failed = new BoxledgerError('Internal', 'the disk is there, but its directory cannot be flushed');
  const failing = changed(host.driver, {
    importDisk: async (...asked) => {
      await host.driver.importDisk(...asked);
      throw failed;
    },
  });
  const importBy = async (driver: Driver) => {
    const boxId = randomIds.boxId();
    const archive = await host.driver.openExport(exportId);
    const importing = host.open({ driver }).import(boxId, archive, signal, () => Promise.reject(failed));
    await expect(importing).rejects.toBe(failed);
    return boxId;
  };
  await importBy(failing);
  expect(await host.driver.list()).toEqual(before);
  expect(await host.pending.list()).toEqual([]);
  const left = await importBy(changed(failing, { removeDisk: () => Promise.reject(failed) }));
  expect(await host.pending.list()).toEqual([left]);
});

test('an import never takes a disk away that was in its way', async () => {
  await using host = await shelved();
  const archive = await host.driver.openExport(await makeArchive(host));
  const [other] = await host.driver.list();
  if (other === undefined) throw new Error('the archive was made of a box');
  const importing = host.open().import(other, archive, signal, () => Promise.reject(new Error('not called')));
  await expect(importing).rejects.toMatchObject({ code: 'AlreadyExists' });
  expect(await host.driver.list()).toEqual([other]);
  expect(await host.pending.list()).toEqual([]);
});
