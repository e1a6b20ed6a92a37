import type { JsonObject } from '../kernel/json.ts';
import type { Placement } from './box-events.ts';

/** What a box archive says of the box that it was made of, once all of it was found good and its disk is there. */
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
