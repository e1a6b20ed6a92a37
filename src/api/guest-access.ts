import type { BoxRecord } from '../commands/event-store.ts';
import type { BoxProcess, BoxUsage } from '../events/box-usage.ts';
import type { Guest } from '../guest/guest.ts';
import type { Refusal } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';

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
  /** Of a box that does not run: what it last used. Undefined when nothing is known. */
  usage(box: BoxRecord): Promise<BoxUsage | undefined>;
  /** Empty when the box does not run. */
  processes(boxId: BoxId): Promise<readonly BoxProcess[]>;
  /** The end of the box's console, at most `maxBytes`. */
  console(boxId: BoxId, maxBytes: number): Promise<string>;
  /** The same, and then what is written to it, until that run of the box has ended or the signal fires. */
  followConsole(boxId: BoxId, maxBytes: number, signal: AbortSignal): AsyncIterable<string>;
}
