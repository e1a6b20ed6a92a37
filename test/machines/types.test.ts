/** Checked by `tsc`: each line after an `@ts-expect-error` must not compile. Nothing here is called. */
import { expect, test } from 'vitest';
import type { BoxEvent } from '../../src/events/box-events.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import type { EffectIntent, EffectOutcome } from '../../src/events/effects.ts';
import type { BoxId, EffectId, HostId, StreamId, Version } from '../../src/kernel/ids.ts';
import { boxStream, effectIdFor } from '../../src/kernel/ids.ts';
import type { Timestamp } from '../../src/kernel/time.ts';
import { admitExec } from '../../src/machines/box/admit-exec.ts';
import { boxAggregate } from '../../src/machines/box/box-aggregate.ts';
import { type BoxState, takeBoxEvent } from '../../src/machines/box/box-state.ts';
import type { DecisionContext } from '../../src/machines/decision.ts';
import type { ExecState } from '../../src/machines/exec/exec-machine.ts';

interface Given {
  readonly box: BoxId;
  readonly host: HostId;
  readonly effect: EffectId;
  readonly stream: StreamId;
  readonly version: Version;
  readonly now: Timestamp;
  readonly state: BoxState;
  readonly exec: ExecState;
  readonly context: DecisionContext;
  readonly intent: EffectIntent;
  readonly outcome: EffectOutcome;
}

const swappedIds = ({ box, host, version }: Given) => [
  // @ts-expect-error a host is no box
  boxStream(host),
  // @ts-expect-error a number is no version
  effectIdFor(box, 3, 'vm.boot'),
  // @ts-expect-error text is no id until it is parsed
  effectIdFor('bx_0123456789abcdef', version, 'vm.boot'),
];

const swappedIdsInCommands = ({ box, host, effect }: Given): readonly BoxCommand[] => [
  // @ts-expect-error a host is no box
  { type: 'box.stop', boxId: host },
  // @ts-expect-error a box is no host
  { type: 'box.start', boxId: box, placement: { hostId: box, epoch: 1 } },
  // @ts-expect-error an effect is no box
  { type: 'box.pause', boxId: effect },
];

const illegalEvents: readonly BoxEvent[] = [
  // @ts-expect-error no such event
  { type: 'box.exploded', data: {} },
  // @ts-expect-error an imperative is a command, not an event
  { type: 'box.start', data: {} },
  // @ts-expect-error a start request says where and which
  { type: 'box.startRequested', data: { timeoutMs: 1 } },
];

const illegalSteps = ({ state, exec, stream, version, now, context }: Given) => {
  const at = { streamId: stream, version, occurredAt: now, tenant: context.tenant };
  const ofExec = { ...at, type: 'exec.started', data: { pid: 1 } } as const;
  return [
    // @ts-expect-error an exec's event is none of a box
    takeBoxEvent(state, ofExec),
    // @ts-expect-error no such state
    state.matches('exploded'),
    // @ts-expect-error no such tag
    state.hasTag('alreadyExploded'),
    // @ts-expect-error an exec is no box
    admitExec(exec, true),
    // @ts-expect-error a host's command is none of a box
    boxAggregate.decide(state, { type: 'host.leave', hostId: 'hs_0123456789abcdef', epoch: 1 }, context),
  ];
};

const mixedEffects = ({ intent, outcome }: Given) => {
  if (intent.kind === 'vm.pause') {
    // @ts-expect-error only a boot has options
    void intent.args.options;
  }
  if (outcome.kind === 'vm.resume' && outcome.outcome.status === 'succeeded') {
    // @ts-expect-error only a stop has an exit
    void outcome.outcome.result.exit;
  }
};

test('swapped ids, foreign events and mixed-up effects do not compile', () => {
  const notCalled = [swappedIds, swappedIdsInCommands, illegalSteps, mixedEffects];
  expect([...notCalled, illegalEvents]).not.toContain(undefined);
});
