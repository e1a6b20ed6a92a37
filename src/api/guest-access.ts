import type { BoxRecord } from '../commands/event-store.ts';
import type { Guest } from '../guest/guest.ts';
import type { BoxId } from '../kernel/ids.ts';

/** What a running box uses, as its host measures it. */
export interface BoxUsage {
  /** Processor time since the boot, in milliseconds. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly processes: number;
}

/** The way from the API to what is inside boxes, wherever they run. */
export interface GuestAccess {
  /**
   * The agent of a running box. The instance is shared and kept: it is not the caller's to close. Throws `Unavailable`
   * when the box's host cannot be reached, `Unsupported` when its driver has no guest.
   */
  open(box: BoxRecord): Promise<Guest>;
  /** Undefined when the box does not run. */
  usage(boxId: BoxId): Promise<BoxUsage | undefined>;
}
