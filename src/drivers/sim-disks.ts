import { createHash } from 'node:crypto';
import { type BoxId, type ExportId, snapshotId as parseSnapshotId, type SnapshotId } from '../kernel/ids.ts';
import { KeyedLock } from '../kernel/keyed-lock.ts';
import { limits } from '../kernel/limits.ts';
import { strangeTarget } from './box-archive/bad-archive.ts';
import type { ChecksumList } from './box-archive/checksums.ts';
import { compareNames } from './box-archive/depth-first.ts';
import type { ArchiveManifestInput } from './box-archive/manifest.ts';
import { type ArchiveSink, readArchive } from './box-archive/read-archive.ts';
import type { EntryHead } from './box-archive/tar-head.ts';
import { type SourceEntry, writeArchive } from './box-archive/write-archive.ts';
import { boxRuns, noDisk, noExport, noSnapshot, otherDisk } from './disk-errors.ts';
import type {
  DiskCopy,
  DiskKeeper,
  DiskOrigin,
  DiskSource,
  DiskWork,
  ExportFigures,
  ImportedArchive,
} from './disks.ts';
import { hasEnded, type SimDisk, type SimWorld } from './sim-world.ts';

export type SimDiskOperation = 'snapshotDisk' | 'restoreDisk' | 'cloneDisk' | 'exportDisk' | 'importDisk';

/** Disks of simulated boxes: a few files in memory, without directories or links. Box archives of them are real ones. */
export class SimDisks implements DiskKeeper {
  readonly #world: SimWorld;
  readonly #take: (operation: SimDiskOperation, boxId: BoxId, signal: AbortSignal) => Promise<void>;
  readonly #lock = new KeyedLock<BoxId>();

  constructor(
    world: SimWorld,
    take: (operation: SimDiskOperation, boxId: BoxId, signal: AbortSignal) => Promise<void>,
  ) {
    this.#world = world;
    this.#take = take;
  }

  snapshotDisk(boxId: BoxId, snapshotId: SnapshotId, work: DiskWork): Promise<DiskCopy> {
    return this.#do('snapshotDisk', boxId, work, async () => {
      const { disk, snapshots } = this.#world.get(boxId);
      const kept = snapshots[snapshotId];
      if (kept !== undefined) return copied(kept);
      if (disk === null) throw noDisk(boxId);
      this.#world.set(boxId, { snapshots: { ...snapshots, [snapshotId]: disk } });
      return copied(disk);
    });
  }

  async listSnapshots(boxId: BoxId): Promise<readonly SnapshotId[]> {
    return Object.keys(this.#world.get(boxId).snapshots).map(parseSnapshotId);
  }

  async removeSnapshot(boxId: BoxId, snapshotId: SnapshotId): Promise<void> {
    const { [snapshotId]: removed, ...snapshots } = this.#world.get(boxId).snapshots;
    if (removed !== undefined) this.#world.set(boxId, { snapshots });
  }

  restoreDisk(boxId: BoxId, snapshotId: SnapshotId, work: DiskWork): Promise<DiskCopy> {
    return this.#do('restoreDisk', boxId, work, async () => {
      if (!hasEnded(this.#world.get(boxId))) throw boxRuns(boxId);
      const disk = this.#snapshotOf({ boxId, snapshotId });
      this.#world.set(boxId, { disk });
      return copied(disk);
    });
  }

  cloneDisk(from: DiskSource, to: BoxId, work: DiskWork): Promise<DiskCopy> {
    return this.#do('cloneDisk', to, work, async () => {
      const { origin } = this.#withoutOther(to);
      if (origin?.kind === 'clone' && origin.snapshotId === from.snapshotId)
        return { result: origin.made, bytes: origin.made.sizeBytes };
      if (origin !== null) throw otherDisk(to);
      const disk = this.#snapshotOf(from);
      const { result: made, bytes } = copied(disk);
      this.#world.set(to, {
        disk,
        origin: { kind: 'clone', from: from.boxId, snapshotId: from.snapshotId, made },
      });
      return { result: made, bytes };
    });
  }

  async diskOrigin(boxId: BoxId): Promise<DiskOrigin | undefined> {
    return this.#world.get(boxId).origin ?? undefined;
  }

  exportDisk(
    from: DiskSource,
    exportId: ExportId,
    manifest: ArchiveManifestInput,
    work: DiskWork,
  ): Promise<ExportFigures> {
    return this.#do('exportDisk', from.boxId, work, async () => {
      const disk = this.#snapshotOf(from);
      const archive = this.#world.exports.get(exportId) ?? (await archiveOf(disk, manifest));
      work.signal.throwIfAborted();
      if (!this.#world.exports.has(exportId)) this.#world.setExport(exportId, archive);
      const sha256 = createHash('sha256').update(archive).digest('hex');
      return { result: { sizeBytes: archive.length, sha256 }, bytes: sizeOf(disk) };
    });
  }

  async listExports(): Promise<readonly ExportId[]> {
    return [...this.#world.exports.keys()];
  }

  async openExport(exportId: ExportId): Promise<AsyncIterable<Uint8Array>> {
    const archive = this.#world.exports.get(exportId);
    if (archive === undefined) throw noExport(exportId);
    return once(archive);
  }

  async removeExport(exportId: ExportId): Promise<void> {
    if (this.#world.exports.has(exportId)) this.#world.setExport(exportId, null);
  }

  importDisk(
    boxId: BoxId,
    archive: AsyncIterable<Uint8Array>,
    work: Parameters<DiskKeeper['importDisk']>[2],
  ): Promise<ImportedArchive> {
    return this.#do('importDisk', boxId, work, async () => {
      const { origin } = this.#withoutOther(boxId);
      if (origin?.kind === 'import') return { result: origin.made, bytes: origin.made.archiveBytes };
      if (origin !== null) throw otherDisk(boxId);
      const unpacking = new SimUnpacking();
      const options = { maxBytes: work.maxBytes ?? limits.boxArchiveDiskBytesMax, signal: work.signal };
      const figures = await readArchive(archive, options, unpacking);
      const made = { ...figures, sizeBytes: figures.manifest.disk.bytes };
      work.signal.throwIfAborted();
      this.#world.set(boxId, { disk: unpacking.disk, origin: { kind: 'import', made } });
      return { result: made, bytes: made.archiveBytes };
    });
  }

  #do<Result>(
    operation: SimDiskOperation,
    boxId: BoxId,
    { signal, onProgress }: DiskWork,
    work: () => Promise<{ readonly result: Result; readonly bytes: number }>,
  ): Promise<Result> {
    return this.#lock.run(boxId, async () => {
      signal.throwIfAborted();
      await this.#take(operation, boxId, signal);
      const { result, bytes } = await work();
      onProgress?.({ bytes, totalBytes: bytes });
      return result;
    });
  }

  /** The box, if it has no disk or one that was made of something. */
  #withoutOther(boxId: BoxId) {
    const box = this.#world.get(boxId);
    if (box.disk !== null && box.origin === null) throw otherDisk(boxId);
    return box;
  }

  #snapshotOf({ boxId, snapshotId }: DiskSource): SimDisk {
    const kept = this.#world.get(boxId).snapshots[snapshotId];
    if (kept === undefined) throw noSnapshot(boxId, snapshotId);
    return kept;
  }
}

const copied = (disk: SimDisk): { readonly result: DiskCopy; readonly bytes: number } => ({
  result: { copy: 'reflink', sizeBytes: sizeOf(disk) },
  bytes: sizeOf(disk),
});

const sizeOf = (disk: SimDisk): number =>
  Object.values(disk).reduce((bytes, content) => bytes + content.length, 0);

const archiveOf = async (disk: SimDisk, manifest: ArchiveManifestInput): Promise<Buffer> => {
  const figures = {
    entries: Object.keys(disk).length + 1,
    bytes: sizeOf(disk),
    skipped: { sockets: 0, devices: 0 },
  };
  const lines: Buffer[] = [];
  const checksums: ChecksumList = {
    add: async (line) => void lines.push(line),
    get sizeBytes() {
      return Buffer.concat(lines).length;
    },
    lines: () => once(Buffer.concat(lines)),
  };
  const chunks: Buffer[] = [];
  for await (const chunk of writeArchive({
    manifest: { ...manifest, image: null },
    disk: figures,
    entries: entriesOf(disk),
    checksums,
  }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
};

async function* entriesOf(disk: SimDisk): AsyncGenerator<SourceEntry> {
  const base = { mode: 0o700, mtimeMs: 0, sizeBytes: 0, target: '' };
  yield { ...base, path: 'disk', kind: 'directory' };
  for (const [name, text] of Object.entries(disk).sort(([one], [other]) => compareNames(one, other))) {
    const content = Buffer.from(text, 'latin1');
    yield {
      ...base,
      path: `disk/${name}`,
      kind: 'file',
      sizeBytes: content.length,
      content: () => once(content),
    };
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Keeps an archive's files, also those in directories; a hard link is one more of them. */
class SimUnpacking implements ArchiveSink {
  readonly #files = new Map<string, string>();

  get disk(): SimDisk {
    return Object.fromEntries(this.#files);
  }

  begin(): void {
    // nothing to prepare
  }

  async entry(head: EntryHead, content: AsyncIterable<Buffer>): Promise<void> {
    const path = head.path.slice('disk/'.length);
    if (head.kind === 'file') {
      const chunks: Buffer[] = [];
      for await (const chunk of content) chunks.push(chunk);
      this.#files.set(path, Buffer.concat(chunks).toString('latin1'));
    }
    if (head.kind !== 'link') return;
    const linked = this.#files.get(head.target.slice('disk/'.length));
    if (linked === undefined) throw strangeTarget(head);
    this.#files.set(path, linked);
  }
}
