import type { BoxRecord } from '../commands/event-store.ts';
import type { Guest } from '../guest/guest.ts';
import type { Refusal } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';

/** What a running box uses, as its host measures it. */
export interface BoxUsage {
  /** Processor time since the boot, in milliseconds. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly processes: number;
}

/** What an exec or a copy has to do with a box before it can run in it. */
export type Admission =
  | { readonly kind: 'run' }
  /** Start the box, and name what is to run in it as the cause. */
  | { readonly kind: 'start-first' }
  /** The box is starting: wait for it. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** The way from the API to what is inside boxes, wherever they run. */
export interface GuestAccess {
  /** As the box's statechart has it now. `autoStart` is the call's; the box's own counts as well. */
  admit(boxId: BoxId, autoStart: boolean): Promise<Admission>;
  /**
   * The agent of a running box. The instance is shared and kept: it is not the caller's to close. Throws `Unavailable`
   * when the box's host cannot be reached, `Unsupported` when its driver has no guest.
   */
  open(box: BoxRecord): Promise<Guest>;
  /** Undefined when the box does not run. */
  usage(boxId: BoxId): Promise<BoxUsage | undefined>;
}
