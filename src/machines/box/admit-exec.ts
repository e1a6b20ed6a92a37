import type { Refusal } from '../../kernel/errors.ts';
import { cannot, noSuchBox } from './box-refusals.ts';
import { type BoxState, topState } from './box-state.ts';

/** What an exec or a copy has to do with a box before it can run in it. */
export type ExecAdmission =
  | { readonly kind: 'run' }
  /** Start the box, and name the exec as the cause. */
  | { readonly kind: 'start-first' }
  /** The box is starting: wait for it, up to the deadline of the call. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** `autoStart` is the call's; the box's own counts as well. */
export const admitExec = (box: BoxState, autoStart: boolean): ExecAdmission => {
  if (box.hasTag('execRuns')) return { kind: 'run' };
  if (box.hasTag('execWaits')) return { kind: 'wait' };
  if (box.hasTag('execStartsFirst') && autoStart && box.context.options.autoStart)
    return { kind: 'start-first' };
  const isGone = topState(box) === 'removed';
  return { kind: 'refused', refusal: isGone ? noSuchBox(box.context.boxId) : cannot('exec', box) };
};
