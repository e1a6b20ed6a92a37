import type { UnpackedArchive } from '../events/unpacked-archive.ts';
import type { BoxId, ExportId } from '../kernel/ids.ts';

/** The way from the API to box archives and the host that makes and unpacks them. */
export interface BoxArchives {
  /** The bytes of an archive that was made, from first to last. `NotFound` when it is gone. */
  open(exportId: ExportId): Promise<AsyncIterable<Uint8Array>>;
  /** Nothing there is success. */
  remove(exportId: ExportId): Promise<void>;
  /**
   * Makes the disk of a box that is to come, once the whole archive was found good (`InvalidArgument` when not), then has the
   * box recorded. When `record` throws, the disk is removed again, unless it throws `Unavailable`: whether there is a box is
   * then not known, and the same box id asks again. A disk that was unpacked before is not unpacked again.
   */
  import<Result>(
    boxId: BoxId,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    record: (unpacked: UnpackedArchive) => Promise<Result>,
  ): Promise<Result>;
}
