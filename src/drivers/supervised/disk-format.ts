import type { CopyMethod } from '../../events/disk-operations.ts';
import type { BoxId } from '../../kernel/ids.ts';
import type { ArchiveManifest } from '../box-archive/manifest.ts';
import type { DiskWork } from '../disks.ts';

/**
 * What the directory that is a disk has in it, and how more are made of it. Every path that something is made at is empty,
 * and what a failure leaves there is for the caller to clear away.
 */
export interface DiskFormat {
  /** Of the box's own disk as it is now, whether the box runs or not; nothing writes to it meanwhile. */
  keep(boxId: BoxId, disk: string, to: string, work: DiskWork): Promise<CopyMethod>;
  /** Of a disk that never changes. */
  copy(from: string, to: string, totalBytes: number | null, work: DiskWork): Promise<CopyMethod>;
  /** What is on it, in bytes. */
  measure(disk: string, signal: AbortSignal): Promise<number>;
  /** The tree that an archive of the disk has; `aside` is a path for what has to be made for that. */
  portable(disk: string, aside: string, signal: AbortSignal): Promise<PortableDisk>;
  /** Makes a disk of such a tree, in its place; resolves with what is on it, in bytes. `InvalidArgument` when it is none. */
  adopt(tree: string, manifest: ArchiveManifest, signal: AbortSignal): Promise<number>;
}

export interface PortableDisk {
  readonly tree: string;
  /** Digest of the image that it stands on; null: none. */
  readonly image: string | null;
}
