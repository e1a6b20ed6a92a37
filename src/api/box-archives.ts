import type { Placement } from '../events/box-events.ts';
import type { BoxId, ExportId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';

/** What an archive says of the box that it was made of, once all of it was found good. */
export interface UnpackedArchive {
  readonly name: string;
  /** As the exporting box had them; nobody has looked at them yet. */
  readonly options: JsonObject;
  /** Of the archive. */
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Where the disk is. */
  readonly placement: Placement;
}

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
