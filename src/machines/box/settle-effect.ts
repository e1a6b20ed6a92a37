import type { BoxEvent } from '../../events/box-events.ts';
import type { EffectOutcome } from '../../events/effects.ts';
import { assert } from '../../kernel/assert.ts';
import { accepted, propose } from '../chart.ts';
import { alreadySo, refused } from '../decision.ts';
import { type BoxCase, type BoxDecision, type CommandOf, take } from './box-case.ts';
import { stale } from './box-refusals.ts';
import { takeBoxEvent, topState } from './box-state.ts';
import { diskRemoveTimeoutMs, retryDelayMs, stopTimeoutMs } from './box-timeouts.ts';

/** Law L7: heard only while the box waits for exactly this effect, in this generation. */
export const settleEffect = (
  { box, draft }: BoxCase,
  { effectId, generation, outcome }: CommandOf<'box.settleEffect'>,
): BoxDecision => {
  const { effect, generation: present, retries, goal } = box.context;
  const isAwaited = effect?.effectId === effectId && effect.kind === outcome.kind && generation === present;
  if (!isAwaited) return refused(stale(box, { effectId, generation }));
  const event = eventOf(outcome, retries + 1);
  const settled = propose(takeBoxEvent, draft, event);
  assert(settled, `${effectId} was waited for, but the statechart cannot take ${event.type}`);
  if (event.type !== 'box.stopped' || goal !== 'remove') return accepted(settled);
  const removing = propose(takeBoxEvent, settled, {
    type: 'box.removeRequested',
    data: { timeoutMs: diskRemoveTimeoutMs, force: true },
  });
  assert(removing, 'a box that has just stopped can be removed');
  return accepted(removing);
};

/** The host saw the box end by itself. While it is being stopped, its end belongs to the stop. */
export const reportExit = (it: BoxCase, { generation, exit }: CommandOf<'box.reportExit'>): BoxDecision => {
  const { box } = it;
  if (generation !== box.context.generation) return refused(stale(box, { generation }));
  if (topState(box) === 'stopped') return alreadySo;
  return take(it, { type: 'box.exited', data: { exit } }) ?? refused(stale(box, { generation }));
};

/** `retry`: number of the repetition that a failure leads to, where it leads to one. */
const eventOf = ({ kind, outcome }: EffectOutcome, retry: number): BoxEvent => {
  switch (kind) {
    case 'vm.boot':
      return outcome.status === 'succeeded'
        ? { type: 'box.started', data: outcome.result }
        : { type: 'box.startFailed', data: { failure: outcome.failure } };
    case 'vm.shutdown':
      return outcome.status === 'succeeded'
        ? { type: 'box.stopped', data: outcome.result }
        : {
            type: 'box.stopFailed',
            data: { failure: outcome.failure, timeoutMs: retryDelayMs(retry) + stopTimeoutMs() },
          };
    case 'vm.pause':
      return outcome.status === 'succeeded'
        ? { type: 'box.paused', data: outcome.result }
        : { type: 'box.pauseFailed', data: { failure: outcome.failure } };
    case 'vm.resume':
      return outcome.status === 'succeeded'
        ? { type: 'box.resumed', data: outcome.result }
        : { type: 'box.resumeFailed', data: { failure: outcome.failure } };
    case 'disk.remove':
      return outcome.status === 'succeeded'
        ? { type: 'box.removed', data: { diskAbandoned: false } }
        : {
            type: 'box.removeFailed',
            data: { failure: outcome.failure, timeoutMs: retryDelayMs(retry) + diskRemoveTimeoutMs },
          };
    default:
      return kind satisfies never;
  }
};
