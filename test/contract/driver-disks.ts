import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import type { BoxId } from '../../src/kernel/ids.ts';
import { chunksOf, manifestInput } from '../drivers/support/forged-archive.ts';
import { hostileArchives } from '../drivers/support/hostile-archives.ts';
import { never, newBoxId, newExportId, newSnapshotId, specOf, unhurried } from '../drivers/support/spec.ts';
import type { DriverHarness } from './driver.ts';

/** What every driver promises of disks: that they are kept, put back, copied and carried whole or not at all. */
export const driverDisksContract = (name: string, open: () => Promise<DriverHarness>): void => {
  describe(`${name} keeps disks`, () => {
    let harness: DriverHarness;
    let driver: Driver;
    beforeAll(async () => {
      harness = await open();
      driver = harness.driver;
    });
    afterAll(() => harness?.close());

    /** A box that has run and has a file on its disk. */
    const boxWith = async (text: string): Promise<BoxId> => {
      const id = newBoxId();
      await driver.boot(specOf(id), never);
      await driver.kill(id);
      await harness.writeDisk(id, 'file', text);
      return id;
    };
    const snapshotOf = async (boxId: BoxId) => {
      const id = newSnapshotId();
      await driver.snapshotDisk(boxId, id, unhurried);
      return { boxId, snapshotId: id };
    };
    const exported = async (text: string) => {
      const [from, id] = [await snapshotOf(await boxWith(text)), newExportId()];
      const figures = await driver.exportDisk(from, id, manifestInput, unhurried);
      return { from, id, figures, bytes: await bytesOf(await driver.openExport(id)) };
    };
    const sizeOf = (bytes: number) => harness.traits.sizeOf(bytes);
    const fileOf = (id: BoxId) => harness.readDisk(id, 'file');

    test('a snapshot keeps the disk as it was, and a restore brings it back', async () => {
      const id = await boxWith('before');
      const kept = newSnapshotId();
      const made = await driver.snapshotDisk(id, kept, unhurried);
      expect(made).toEqual({ copy: expect.stringMatching(/^(reflink|copy)$/), sizeBytes: sizeOf(6) });
      await harness.writeDisk(id, 'file', 'after');
      await harness.writeDisk(id, 'more', 'of it');
      expect(await driver.restoreDisk(id, kept, unhurried)).toEqual(made);
      expect(await fileOf(id)).toBe('before');
      expect(await harness.readDisk(id, 'more')).toBeUndefined();
      await harness.writeDisk(id, 'file', 'after all');
      await driver.restoreDisk(id, kept, unhurried);
      expect(await fileOf(id)).toBe('before');
    });

    test('a snapshot that is taken again is the one that was taken first', async () => {
      const id = await boxWith('first');
      const kept = newSnapshotId();
      const made = await driver.snapshotDisk(id, kept, unhurried);
      await harness.writeDisk(id, 'file', 'second, and longer');
      expect(await (await harness.another()).snapshotDisk(id, kept, unhurried)).toEqual(made);
      await driver.restoreDisk(id, kept, unhurried);
      expect(await fileOf(id)).toBe('first');
    });

    test('snapshots are listed until they are removed, by whatever instance; removing one twice is success', async () => {
      const id = await boxWith('text');
      const [one, other] = [await snapshotOf(id), await snapshotOf(id)];
      expect(new Set(await (await harness.another()).listSnapshots(id))).toEqual(
        new Set([one.snapshotId, other.snapshotId]),
      );
      await driver.removeSnapshot(id, one.snapshotId);
      await driver.removeSnapshot(id, one.snapshotId);
      expect(await driver.listSnapshots(id)).toEqual([other.snapshotId]);
      await driver.restoreDisk(id, other.snapshotId, unhurried);
      expect(await fileOf(id)).toBe('text');
    });

    test('a box that nobody knows has no snapshots, and none can be taken of it', async () => {
      const id = newBoxId();
      expect(await driver.listSnapshots(id)).toEqual([]);
      await driver.removeSnapshot(id, newSnapshotId());
      const work = driver.snapshotDisk(id, newSnapshotId(), unhurried);
      await expect(work).rejects.toMatchObject({ code: 'NotFound' });
      expect(await driver.list()).not.toContain(id);
    });

    test('what is not there is restored, cloned, exported and read by nobody', async () => {
      const id = await boxWith('text');
      const from = { boxId: id, snapshotId: newSnapshotId() };
      const NotFound = expect.objectContaining({ code: 'NotFound' });
      await expect(driver.restoreDisk(id, from.snapshotId, unhurried)).rejects.toEqual(NotFound);
      await expect(driver.cloneDisk(from, newBoxId(), unhurried)).rejects.toEqual(NotFound);
      await expect(driver.exportDisk(from, newExportId(), manifestInput, unhurried)).rejects.toEqual(
        NotFound,
      );
      await expect(driver.openExport(newExportId())).rejects.toEqual(NotFound);
      expect(await fileOf(id)).toBe('text');
    });

    test('the disk of a running box can be kept, and is not put back', async () => {
      const id = await boxWith('before');
      const { process } = await driver.boot(specOf(id, 2), never);
      await driver.freeze(id, process);
      const { snapshotId: kept } = await snapshotOf(id);
      await driver.unfreeze(id, process);
      await harness.writeDisk(id, 'file', 'after');
      const work = driver.restoreDisk(id, kept, unhurried);
      await expect(work).rejects.toMatchObject({ code: 'InvalidState', help: 'Stop it first.' });
      expect(await fileOf(id)).toBe('after');
      expect(await driver.observe(id)).toMatchObject({ kind: 'running', process, frozen: false });
      await driver.kill(id);
      await driver.restoreDisk(id, kept, unhurried);
      expect(await fileOf(id)).toBe('before');
    });

    test('a clone has a disk of its own, and outlives what it was made of', async () => {
      const from = await snapshotOf(await boxWith('original'));
      const to = newBoxId();
      const made = await driver.cloneDisk(from, to, unhurried);
      expect(made.sizeBytes).toEqual(sizeOf(8));
      expect(await driver.observe(to)).toEqual({ kind: 'absent' });
      expect(await driver.list()).toContain(to);
      await harness.writeDisk(to, 'file', 'clone');
      expect(await driver.cloneDisk(from, to, unhurried)).toEqual(made);
      expect(await driver.diskOrigin(to)).toMatchObject({ kind: 'clone', from: from.boxId });
      expect(await driver.diskOrigin(from.boxId)).toBeUndefined();
      await driver.removeDisk(from.boxId);
      await driver.boot(specOf(to), never);
      await driver.kill(to);
      expect(await fileOf(to)).toBe('clone');
    });

    test('many clones are made of one at the same time', async () => {
      const from = await snapshotOf(await boxWith('original'));
      const clones = Array.from({ length: 8 }, newBoxId);
      await Promise.all(clones.map((to) => driver.cloneDisk(from, to, unhurried)));
      expect(new Set(await Promise.all(clones.map(fileOf)))).toEqual(new Set(['original']));
    });

    test('nothing is ever made over a disk that is there', async () => {
      const [from, other] = [await snapshotOf(await boxWith('one')), await snapshotOf(await boxWith('two'))];
      const AlreadyExists = expect.objectContaining({ code: 'AlreadyExists' });
      const [booted, cloned, imported] = [await boxWith('mine'), newBoxId(), newBoxId()];
      await driver.cloneDisk(from, cloned, unhurried);
      await driver.importDisk(imported, chunksOf(await harness.traits.archive()), unhurried);
      for (const id of [booted, cloned, imported])
        await expect(driver.cloneDisk(other, id, unhurried)).rejects.toEqual(AlreadyExists);
      for (const id of [booted, cloned])
        await expect(
          driver.importDisk(id, chunksOf(await harness.traits.archive()), unhurried),
        ).rejects.toEqual(AlreadyExists);
      expect(await Promise.all([booted, cloned, imported].map(fileOf))).toEqual(['mine', 'one', 'hello']);
    });

    test('a box that is removed takes its snapshots along', async () => {
      const { boxId } = await snapshotOf(await boxWith('text'));
      await driver.removeDisk(boxId);
      expect(await driver.listSnapshots(boxId)).toEqual([]);
      expect(await driver.list()).not.toContain(boxId);
    });

    test('an export is a box archive that an import makes the same disk of', async () => {
      const { figures, bytes, id } = await exported('carried');
      expect(figures).toEqual({ sizeBytes: bytes.length, sha256: sha256(bytes) });
      expect(await driver.listExports()).toContain(id);
      const to = newBoxId();
      const made = await driver.importDisk(to, chunksOf(bytes), unhurried);
      expect(made).toMatchObject({
        archiveBytes: bytes.length,
        sha256: figures.sha256,
        sizeBytes: sizeOf(7),
        manifest: { formatVersion: 1, ...manifestInput, image: harness.traits.image },
      });
      expect(await fileOf(to)).toBe('carried');
      const read = () => {
        throw new Error('it was imported already');
      };
      const again = { [Symbol.asyncIterator]: read };
      expect(await (await harness.another()).importDisk(to, again, unhurried)).toEqual(made);
    });

    test('an export that is asked for again is the one that was made first', async () => {
      const { from, id, figures, bytes } = await exported('once');
      await driver.removeSnapshot(from.boxId, from.snapshotId);
      const other = await snapshotOf(await boxWith('twice'));
      expect(await driver.exportDisk(other, id, manifestInput, unhurried)).toEqual(figures);
      expect(await bytesOf(await (await harness.another()).openExport(id))).toEqual(bytes);
    });

    test('an export that is removed is gone, once and for all', async () => {
      const { id } = await exported('text');
      await driver.removeExport(id);
      await driver.removeExport(id);
      expect(await driver.listExports()).not.toContain(id);
      await expect(driver.openExport(id)).rejects.toMatchObject({ code: 'NotFound' });
    });

    test('progress ends with all of it', async () => {
      const from = await snapshotOf(await boxWith('0123456789'));
      const told: unknown[] = [];
      const work = { signal: never, onProgress: (done: unknown) => void told.push(done) };
      await driver.restoreDisk(from.boxId, from.snapshotId, work);
      expect(told.at(-1)).toEqual({ bytes: sizeOf(10), totalBytes: sizeOf(10) });
      await driver.exportDisk(from, newExportId(), manifestInput, work);
      expect(told.at(-1)).toEqual({ bytes: sizeOf(10), totalBytes: sizeOf(10) });
    });

    test('work that was aborted before it began throws the reason and leaves nothing', async () => {
      const from = await snapshotOf(await boxWith('text'));
      const reason = new Error('not any more');
      const work = { signal: AbortSignal.abort(reason) };
      const [kept, to, out] = [newSnapshotId(), newBoxId(), newExportId()];
      await expect(driver.snapshotDisk(from.boxId, kept, work)).rejects.toBe(reason);
      await expect(driver.restoreDisk(from.boxId, from.snapshotId, work)).rejects.toBe(reason);
      await expect(driver.cloneDisk(from, to, work)).rejects.toBe(reason);
      await expect(driver.exportDisk(from, out, manifestInput, work)).rejects.toBe(reason);
      await expect(driver.importDisk(to, chunksOf(await harness.traits.archive()), work)).rejects.toBe(
        reason,
      );
      expect(await driver.listSnapshots(from.boxId)).toEqual([from.snapshotId]);
      expect(await driver.list()).not.toContain(to);
      expect(await driver.listExports()).not.toContain(out);
      expect(await fileOf(from.boxId)).toBe('text');
    });

    test('an import whose archive falls silent can be aborted', async () => {
      const stop = new AbortController();
      const reason = new Error('waited enough');
      const archive = await harness.traits.archive();
      const silent = async function* () {
        yield archive.subarray(0, 30);
        setImmediate(() => stop.abort(reason));
        await new Promise(() => undefined);
      };
      const to = newBoxId();
      await expect(driver.importDisk(to, silent(), { signal: stop.signal })).rejects.toBe(reason);
      expect(await driver.list()).not.toContain(to);
    });

    test('an archive that comes to more than the caller allows is refused before it is unpacked', async () => {
      const { bytes } = await exported('0123456789');
      const to = newBoxId();
      const work = { signal: never, maxBytes: 9 };
      const enough = harness.traits.archiveBytesOf(10);
      await expect(driver.importDisk(to, chunksOf(bytes), work)).rejects.toMatchObject({
        code: 'InvalidArgument',
      });
      expect(await driver.importDisk(to, chunksOf(bytes), { ...work, maxBytes: enough })).toBeDefined();
    });

    test('no archive with anything wrong in it makes a box', async () => {
      for (const [wrong, archive, named] of await hostileArchives()) {
        const to = newBoxId();
        const refused = await driver
          .importDisk(to, chunksOf(archive), unhurried)
          .catch((error: unknown) => error);
        expect({ wrong, refused }).toMatchObject({
          wrong,
          refused: { code: 'InvalidArgument', message: expect.stringMatching(named) },
        });
        expect({ wrong, boxes: await driver.list() }).not.toMatchObject({
          boxes: expect.arrayContaining([to]),
        });
        await driver.importDisk(to, chunksOf(await harness.traits.archive()), unhurried);
        expect(await driver.diskOrigin(to)).toMatchObject({ kind: 'import' });
        expect(await fileOf(to)).toBe('hello');
        await driver.removeDisk(to);
      }
    });
  });
};

const bytesOf = async (chunks: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
};

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
