import type { CopyMethod } from '../events/disk-operations.ts';
import type { Progress } from '../events/progress.ts';
import type { BoxId, ExportId, SnapshotId } from '../kernel/ids.ts';
import type { ArchiveManifestInput } from './box-archive/manifest.ts';
import type { ArchiveFigures } from './box-archive/read-archive.ts';

export interface DiskCopy {
  readonly copy: CopyMethod;
  /** What the files on it come to, holes included, each once however many names it has. */
  readonly sizeBytes: number;
}

/** Comes about once a second at most, and once at the end. */
export type OnProgress = (done: Progress) => void;

export interface DiskWork {
  /** Aborting ends the work with the signal's reason and leaves nothing of it. */
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
}

export interface ExportFigures {
  readonly sizeBytes: number;
  /** Of the archive, in hexadecimal. */
  readonly sha256: string;
}

export interface ImportedArchive extends ArchiveFigures {
  /** Apparent size of the disk that was made of it. */
  readonly sizeBytes: number;
}

/**
 * Keeps, copies and carries disks. Whatever it makes is there whole or not at all, wherever a kill -9 or a power failure
 * falls; what one leaves half made goes at the next work on the same box and when a driver is set up. Work on one disk is
 * done one after the other, but does not keep the box's process from being looked at, frozen or ended meanwhile.
 */
export interface DiskKeeper {
  /**
   * Keeps the disk as it is now. There already: success, with the figures of then. The caller has seen to it that nothing
   * writes to the disk. `NotFound` when there is no disk.
   */
  snapshotDisk(boxId: BoxId, snapshotId: SnapshotId, work: DiskWork): Promise<DiskCopy>;
  listSnapshots(boxId: BoxId): Promise<readonly SnapshotId[]>;
  /** Nothing there is success. No copy that was made of it is touched. */
  removeSnapshot(boxId: BoxId, snapshotId: SnapshotId): Promise<void>;
  /**
   * Puts the disk back as the snapshot has it: after a crash the old disk or the new one is there, whole. `InvalidState`
   * while the box runs.
   */
  restoreDisk(boxId: BoxId, snapshotId: SnapshotId, work: DiskWork): Promise<DiskCopy>;
  /**
   * Makes a new box's disk of a snapshot of another's. Made of it already: success, with the figures of then; a disk that
   * was not: `AlreadyExists`.
   */
  cloneDisk(from: DiskSource, to: BoxId, work: DiskWork): Promise<DiskCopy>;
  /** Of what the disk was made; undefined when there is none, or it began empty. */
  diskOrigin(boxId: BoxId): Promise<DiskOrigin | undefined>;

  /** Writes the snapshot as a box archive. There already: success, with the figures of then. */
  exportDisk(
    from: DiskSource,
    exportId: ExportId,
    manifest: ArchiveManifestInput,
    work: DiskWork,
  ): Promise<ExportFigures>;
  listExports(): Promise<readonly ExportId[]>;
  /** The archive's bytes from first to last. It holds the file open until it has been read or is ended. */
  openExport(exportId: ExportId): Promise<AsyncIterable<Uint8Array>>;
  /** Nothing there is success. Whoever is reading it reads on. */
  removeExport(exportId: ExportId): Promise<void>;
  /**
   * Makes a new box's disk of a box archive, once all of it has been read and found good. `InvalidArgument`, at the entry,
   * when it is not. Imported already: success, without a look at `archive`; any other disk there: `AlreadyExists`.
   */
  importDisk(
    boxId: BoxId,
    archive: AsyncIterable<Uint8Array>,
    work: DiskWork & { readonly maxBytes?: number | undefined },
  ): Promise<ImportedArchive>;
}

/** Of what a disk was made. */
export type DiskOrigin = { readonly kind: 'clone'; readonly from: BoxId } | { readonly kind: 'import' };

export interface DiskSource {
  readonly boxId: BoxId;
  readonly snapshotId: SnapshotId;
}
