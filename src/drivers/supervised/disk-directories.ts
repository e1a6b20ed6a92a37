import { mkdir, readdir, rename } from 'node:fs/promises';
import {
  type BoxId,
  boxIdPattern,
  type ExportId,
  boxId as parseBoxId,
  snapshotId as parseSnapshotId,
  type SnapshotId,
  snapshotIdPattern,
} from '../../kernel/ids.ts';
import { KeyedLock } from '../../kernel/keyed-lock.ts';
import type { ArchiveManifestInput } from '../box-archive/manifest.ts';
import { noDisk, noSnapshot, otherDisk } from '../disk-errors.ts';
import { diskCopySchema, originRecordSchema } from '../disk-records.ts';
import type {
  DiskCopy,
  DiskKeeper,
  DiskOrigin,
  DiskSource,
  DiskWork,
  ExportFigures,
  ImportedArchive,
} from '../disks.ts';
import { flushFileSystem } from './copy-tree.ts';
import type { DiskContext } from './disk-context.ts';
import { DiskExports } from './disk-exports.ts';
import { importNewDisk } from './disk-import.ts';
import { asBoxledgerError } from './errno-error.ts';
import { isThere, removeTree, renameIfThere } from './files.ts';
import { type BoxLayout, snapshotIn } from './layout.ts';
import { keepNewDisk, originOfDisk, stageNewDisk } from './new-disk.ts';
import { readRecord, writeRecord } from './record-file.ts';
import { clearLeavings, commit, flushDirectory, namesIn, settleDisk, stage } from './staging.ts';

/** Disks as directories of the host. Snapshots and clones are copies; what is in one, and what copies share, is its format's. */
export class DiskDirectories implements DiskKeeper {
  readonly #context: DiskContext;
  readonly #exports: DiskExports;
  /** Not the lock of the box's process: a copy takes minutes, and meanwhile the box may have to be ended. */
  readonly #lock = new KeyedLock<BoxId>();

  constructor(context: DiskContext) {
    this.#context = context;
    this.#exports = new DiskExports(context);
  }

  /** Clears away what an earlier life of the service left half done, of all boxes. One that cannot be cleared holds up no other. */
  async setUp(): Promise<void> {
    const { layout } = this.#context;
    await mkdir(layout.exports, { recursive: true, mode: 0o700 });
    await removeTree(layout.exportsStaging);
    for (const name of await readdir(layout.boxes))
      if (boxIdPattern.test(name)) await this.#clearAfterwards(parseBoxId(name));
  }

  snapshotDisk(boxId: BoxId, snapshotId: SnapshotId, work: DiskWork): Promise<DiskCopy> {
    return this.alone(boxId, 'take a snapshot of', work.signal, async (box) => {
      const kept = await readRecord(box.snapshot(snapshotId).figures, diskCopySchema);
      if (kept !== undefined) return kept;
      if (!(await isThere(box.disk))) throw noDisk(boxId);
      const staged = snapshotIn(await stage(box.staging));
      await mkdir(staged.directory, { mode: 0o700 });
      this.#context.passed('snapshot.begun');
      const { format } = this.#context;
      const copy = await format.keep(boxId, box.disk, staged.disk, work);
      const bytes = await format.measure(staged.disk, work.signal);
      const made = { copy, sizeBytes: bytes };
      await writeRecord(staged.figures, made);
      await flushFileSystem(staged.directory, work.signal);
      this.#context.passed('snapshot.staged');
      work.signal.throwIfAborted();
      await commit(staged.directory, box.snapshot(snapshotId).directory);
      this.#context.passed('snapshot.kept');
      work.onProgress?.({ bytes, totalBytes: bytes });
      return made;
    });
  }

  async listSnapshots(boxId: BoxId): Promise<readonly SnapshotId[]> {
    const names = await namesIn(this.#context.layout.box(boxId).snapshots);
    return names.filter((name) => snapshotIdPattern.test(name)).map(parseSnapshotId);
  }

  removeSnapshot(boxId: BoxId, snapshotId: SnapshotId): Promise<void> {
    return this.alone(boxId, 'remove a snapshot of', undefined, async (box) => {
      const { directory } = box.snapshot(snapshotId);
      if (!(await isThere(directory))) return;
      const doomed = await stage(box.staging);
      await rename(directory, doomed);
      await flushDirectory(box.snapshots);
      this.#context.passed('snapshotRemoval.begun');
      await removeTree(doomed);
    });
  }

  restoreDisk(boxId: BoxId, snapshotId: SnapshotId, work: DiskWork): Promise<DiskCopy> {
    return this.alone(boxId, 'restore the disk of', work.signal, async (box) => {
      const { atRest, passed, format } = this.#context;
      await atRest(boxId, async () => undefined); // before the copy rather than after it
      const kept = await this.#snapshotOf({ boxId, snapshotId });
      const staged = await stage(box.staging);
      passed('restore.begun');
      const copy = await format.copy(box.snapshot(snapshotId).disk, staged, kept.sizeBytes, work);
      await flushFileSystem(box.staging, work.signal);
      passed('restore.staged');
      await atRest(boxId, async () => {
        work.signal.throwIfAborted();
        try {
          await renameIfThere(box.disk, box.replacedDisk);
          passed('restore.parted');
          await commit(staged, box.disk);
        } catch (error) {
          await settleDisk(box);
          throw error;
        }
      });
      passed('restore.replaced');
      return { copy, sizeBytes: kept.sizeBytes };
    });
  }

  cloneDisk(from: DiskSource, to: BoxId, work: DiskWork): Promise<DiskCopy> {
    // Of `from` nothing is held: many clones of one snapshot may be made at a time.
    return this.alone(to, 'clone a disk for', work.signal, async (box) => {
      const { passed, layout, format } = this.#context;
      const origin = await originOfDisk(to, box);
      if (origin?.kind === 'clone' && origin.snapshotId === from.snapshotId) return origin.made;
      if (origin !== undefined) throw otherDisk(to);
      const { sizeBytes } = await this.#snapshotOf(from);
      const source = layout.box(from.boxId).snapshot(from.snapshotId);
      const staged = await stageNewDisk(this.#context, box);
      passed('clone.begun');
      const copy = await format.copy(source.disk, staged, sizeBytes, work);
      // A removal begins by taking the name away: as long as it is there, all of the snapshot was.
      await this.#snapshotOf(from);
      await flushFileSystem(box.staging, work.signal);
      passed('clone.staged');
      const made = { copy, sizeBytes };
      await keepNewDisk(
        this.#context,
        to,
        staged,
        { kind: 'clone', from: from.boxId, snapshotId: from.snapshotId, made },
        work.signal,
      );
      return made;
    });
  }

  async diskOrigin(boxId: BoxId): Promise<DiskOrigin | undefined> {
    const box = this.#context.layout.box(boxId);
    return (await isThere(box.disk)) ? readRecord(box.origin, originRecordSchema) : undefined;
  }

  exportDisk(
    from: DiskSource,
    exportId: ExportId,
    manifest: ArchiveManifestInput,
    work: DiskWork,
  ): Promise<ExportFigures> {
    return this.alone(from.boxId, 'export', work.signal, async (box) => {
      await this.#snapshotOf(from);
      return this.#exports.write(box, box.snapshot(from.snapshotId).disk, exportId, manifest, work);
    });
  }

  listExports(): Promise<readonly ExportId[]> {
    return this.#exports.list();
  }

  openExport(exportId: ExportId): Promise<AsyncIterable<Uint8Array>> {
    return this.#exports.open(exportId);
  }

  removeExport(exportId: ExportId): Promise<void> {
    return this.#exports.remove(exportId);
  }

  importDisk(
    boxId: BoxId,
    archive: AsyncIterable<Uint8Array>,
    work: Parameters<DiskKeeper['importDisk']>[2],
  ): Promise<ImportedArchive> {
    return this.alone(boxId, 'import', work.signal, async (box) => {
      const origin = await originOfDisk(boxId, box);
      if (origin?.kind === 'import') return origin.made;
      if (origin !== undefined) throw otherDisk(boxId);
      return importNewDisk(this.#context, boxId, archive, work);
    });
  }

  /** Work on the box's disk, one after the other; it finds no leavings, and leaves none. */
  async alone<Result>(
    boxId: BoxId,
    doing: string,
    signal: AbortSignal | undefined,
    work: (box: BoxLayout) => Promise<Result>,
  ): Promise<Result> {
    const box = this.#context.layout.box(boxId);
    try {
      return await this.#lock.run(boxId, async () => {
        signal?.throwIfAborted();
        await clearLeavings(box);
        try {
          return await work(box);
        } finally {
          await this.#clearAfterwards(boxId);
        }
      });
    } catch (error) {
      throw asBoxledgerError(error, `cannot ${doing} box ${boxId}`, signal);
    }
  }

  /** What the work came to stays so. */
  async #clearAfterwards(boxId: BoxId): Promise<void> {
    const { layout, notCleared } = this.#context;
    await clearLeavings(layout.box(boxId)).catch((error: unknown) => notCleared(boxId, error));
  }

  async #snapshotOf({ boxId, snapshotId }: DiskSource): Promise<DiskCopy> {
    const kept = await readRecord(
      this.#context.layout.box(boxId).snapshot(snapshotId).figures,
      diskCopySchema,
    );
    if (kept !== undefined) return kept;
    throw noSnapshot(boxId, snapshotId);
  }
}
