import type { EffectIntent, EffectKind } from '../../events/effects.ts';
import { assert } from '../../kernel/assert.ts';
import { plusMs } from '../../kernel/time.ts';
import type { BoxChartEvent, BoxContext } from './box-context.ts';
import { guestMsOf, retryDelayMs } from './box-timeouts.ts';

export type IntentOf<Kind extends EffectKind> = Extract<EffectIntent, { kind: Kind }>;

export interface Asked {
  readonly context: BoxContext;
  readonly event: BoxChartEvent;
}

export const bootIntent = (asked: Asked): IntentOf<'vm.boot'> => {
  const { context, event } = asked;
  const { name, options } = context;
  const restart = event.type === 'box.startRequested' ? event.data.restart : undefined;
  const notBefore = restart === undefined ? null : plusMs(event.occurredAt, restart.delayMs);
  return { ...intentBase(asked), notBefore, kind: 'vm.boot', args: { name, options } };
};

export const shutdownIntent = (asked: Asked): IntentOf<'vm.shutdown'> => {
  const { context, event } = asked;
  const { process, frozen, retries } = context;
  const backoffMs = retries === 0 ? 0 : retryDelayMs(retries);
  const guestMs = 'timeoutMs' in event.data ? guestMsOf(event.data.timeoutMs - backoffMs) : 0;
  return { ...intentBase(asked), kind: 'vm.shutdown', args: { process, frozen, guestMs } };
};

export const pauseIntent = (asked: Asked): IntentOf<'vm.pause'> => ({
  ...intentBase(asked),
  kind: 'vm.pause',
  args: {
    process: processOf(asked.context),
    ...(asked.context.pause?.toDisk === true && { toDisk: true }),
  },
});

export const resumeIntent = (asked: Asked): IntentOf<'vm.resume'> => ({
  ...intentBase(asked),
  kind: 'vm.resume',
  args: { process: processOf(asked.context) },
});

export const diskRemovalIntent = (asked: Asked): IntentOf<'disk.remove'> => ({
  ...intentBase(asked),
  kind: 'disk.remove',
  args: {},
});

export const intentBase = ({ context, event }: Asked) => {
  const { boxId, tenant, generation, placement, effect, retries } = context;
  assert(effect !== null, `${boxId}: an effect is asked for that the box does not wait for`);
  assert(placement !== null, `${boxId}: an effect is asked for before the box has a host`);
  const notBefore = retries === 0 ? null : plusMs(event.occurredAt, retryDelayMs(retries));
  return {
    effectId: effect.effectId,
    tenant,
    boxId,
    generation,
    placement,
    notBefore,
    deadline: effect.deadline,
  };
};

export const processOf = ({ boxId, process }: BoxContext) => {
  assert(process !== null, `${boxId}: a box without a process is asked for it`);
  return process;
};
