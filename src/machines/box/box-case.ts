import type { BoxEvent } from '../../events/box-events.ts';
import type { BoxCommand } from '../../events/commands.ts';
import { accepted, type Draft, propose } from '../chart.ts';
import type { Decision } from '../decision.ts';
import { type BoxState, takeBoxEvent } from './box-state.ts';

export type BoxDraft = Draft<BoxState, BoxEvent>;
export type BoxDecision = Decision<BoxState, BoxEvent>;
export type CommandOf<Type extends BoxCommand['type']> = Extract<BoxCommand, { type: Type }>;

/** A box that exists, and the draft of the decision on it. */
export interface BoxCase {
  readonly box: BoxState;
  readonly draft: BoxDraft;
}

/** The decision that consists of `event` alone; undefined when the statechart cannot take it. */
export const take = ({ box, draft }: BoxCase, event: BoxEvent): BoxDecision | undefined => {
  const next = propose(takeBoxEvent, draft, event);
  return next && conclude(box, next);
};

/** Accepts the draft. The effect that the box waited for is cancelled unless the box waits for it still. */
export const conclude = (before: BoxState, draft: BoxDraft): BoxDecision => {
  const asked = before.context.effect?.effectId;
  const overtaken = asked !== undefined && draft.state?.context.effect?.effectId !== asked;
  return accepted(draft, overtaken ? [asked] : []);
};
