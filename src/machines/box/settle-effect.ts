import type { BoxEvent } from '../../events/box-events.ts';
import type { Clone } from '../../events/disk-operations.ts';
import { assert } from '../../kernel/assert.ts';
import { boxStream, noVersion } from '../../kernel/ids.ts';
import { accepted, begun, emptyDraft, propose } from '../chart.ts';
import { alreadySo, type Begun, refused } from '../decision.ts';
import { afterExit, afterFailedStart, afterStop } from './after-end.ts';
import { type BoxCase, type BoxDecision, type BoxDraft, type CommandOf, conclude } from './box-case.ts';
import type { BoxContext } from './box-context.ts';
import { stale } from './box-refusals.ts';
import { type BoxState, takeBoxEvent, topState } from './box-state.ts';
import { outcomeEvent } from './outcome-event.ts';

/** Law L7: heard only while the box waits for exactly this effect, in this generation. */
export const settleEffect = (
  { box, draft }: BoxCase,
  { effectId, generation, outcome }: CommandOf<'box.settleEffect'>,
): BoxDecision => {
  const { effect, generation: present } = box.context;
  const isAwaited = effect?.effectId === effectId && effect.kind === outcome.kind && generation === present;
  if (!isAwaited) return refused(stale(box, { effectId, generation }));
  const event = outcomeEvent(outcome, box.context);
  const settled = propose(takeBoxEvent, draft, event);
  assert(settled, `${effectId} was waited for, but the statechart cannot take ${event.type}`);
  const begins = event.type === 'box.cloned' ? event.data.clones.map(cloneOf(settled, box.context)) : [];
  return accepted(followed(settled, event, box.context), [], begins);
};

/** What follows on the outcome in the same append. */
const followed = (draft: BoxDraft, event: BoxEvent, { boxId, placement }: BoxContext): BoxDraft => {
  if (event.type === 'box.startFailed') return afterFailedStart(draft);
  if (event.type !== 'box.stopped') return draft;
  assert(placement !== null, `${boxId} was stopped where it never was`);
  return afterStop(draft, placement);
};

/** The stream of a clone: it has its disk, made by the effect, on the host of its parent. */
const cloneOf =
  ({ context, events }: BoxDraft, { boxId: parent, options, placement }: BoxContext) =>
  ({ boxId, name }: Clone): Begun<BoxState, BoxEvent> => {
    assert(placement !== null, `${parent} was cloned before it had a disk`);
    const at = Number(context.version) + events.length;
    const origin = { from: { kind: 'clone', boxId: parent, version: at }, placement } as const;
    const draft = emptyDraft<BoxState, BoxEvent>(undefined, boxStream(boxId), {
      ...context,
      version: noVersion,
    });
    const created = propose(takeBoxEvent, draft, { type: 'box.created', data: { name, options, origin } });
    assert(created, 'a box that is not there yet can be created');
    return begun(created);
  };

/** The host saw the box end by itself. While it is being stopped, its end belongs to the stop. */
export const reportExit = (
  { box, draft }: BoxCase,
  { generation, exit, placement }: CommandOf<'box.reportExit'>,
): BoxDecision => {
  if (generation !== box.context.generation) return refused(stale(box, { generation }));
  if (topState(box) === 'stopped') return alreadySo;
  const exited = propose(takeBoxEvent, draft, { type: 'box.exited', data: { exit } });
  return exited === undefined
    ? refused(stale(box, { generation }))
    : conclude(box, afterExit(exited, exit, placement));
};

/** Heard while the box runs; probes that were under way when it was paused or ended come too late. */
export const reportHealth = (
  { box, draft }: BoxCase,
  { generation, health, failure }: CommandOf<'box.reportHealth'>,
): BoxDecision => {
  if (generation !== box.context.generation || topState(box) !== 'running')
    return refused(stale(box, { generation }));
  if (box.context.health === health) return alreadySo;
  const data = { health, ...(failure && { failure }) };
  const changed = propose(takeBoxEvent, draft, { type: 'box.healthChanged', data });
  assert(changed, 'the health of a box that runs can change');
  return accepted(changed);
};
