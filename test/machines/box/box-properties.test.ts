import { expect, test } from 'vitest';
import { boxStates, boxViewSchema } from '../../../src/events/box-view.ts';
import { effectIntentSchema } from '../../../src/events/effects.ts';
import { defaultTenant } from '../../../src/kernel/ids.ts';
import { admitExec } from '../../../src/machines/box/admit-exec.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import type { BoxState } from '../../../src/machines/box/box-state.ts';
import { always } from './lives.ts';
import { command, historyOf, keptSnapshot, reportExit, Story, success } from './story.ts';

const contextOf = ({ now, version: at }: Story) => ({ now, version: at, tenant: defaultTenant });

const inBetween = ['starting', 'pausing', 'resuming', 'stopping', 'removing'];

test('whatever happens, a box is in a state that is known, and its view is whole', () => {
  always(({ view }) => {
    expect(boxStates).toContain(view.state);
    expect(boxViewSchema.parse(JSON.parse(JSON.stringify(view)))).toEqual(view);
  });
});

test('a box waits for an effect exactly in the in-between states and during an operation', () => {
  always(({ view: { effect, state, operation } }) => {
    expect(effect !== null).toBe(inBetween.includes(state) || operation !== null);
  });
});

test('every effect was asked for by the event that its id names, and fits its schema', () => {
  always((story) => {
    for (const effect of story.effects) {
      expect(effectIntentSchema.parse(JSON.parse(JSON.stringify(effect)))).toEqual(effect);
      const [, at, kind] = effect.effectId.split('-');
      expect(kind).toBe(effect.kind);
      expect(story.log[Number(at) - 1]?.data).toHaveProperty('timeoutMs');
    }
    expect(new Set(story.effects.map(({ effectId }) => effectId)).size).toBe(story.effects.length);
  });
});

test('an effect that a command overtakes is cancelled, and no other', () => {
  always((story) => {
    const before = story.view.effect?.effectId;
    for (const asked of [...Object.values(command), reportExit(story.view.generation || 1)]) {
      const answer = boxAggregate.decide(story.state, asked, contextOf(story));
      if (answer.kind !== 'accepted') continue;
      const overtaken = before !== undefined && answer.state.context.effect?.effectId !== before;
      expect(answer.cancels).toEqual(overtaken ? [before] : []);
    }
  }, 10);
});

test('an operation is in the view exactly while its effect is in flight, and a stop or a forced removal ends it', () => {
  const kindOf = { snapshot: 'disk.snapshot', snapshotRemoval: 'snapshot.remove' } as const;
  const kinds = { ...kindOf, restore: 'disk.restore', clone: 'disk.clone', export: 'disk.export' } as const;
  const ofOperations = new Set<string>(Object.values(kinds));
  const seen = new Set<string>();
  const holds = (story: Story) => {
    const { operation, effect, bracket, state } = story.view;
    if (operation === null) {
      expect(ofOperations.has(effect?.kind ?? '')).toBe(false);
      expect(bracket).toBeNull();
      return;
    }
    expect(effect?.kind).toBe(kinds[operation.kind]);
    expect(['running', 'paused', 'stopped', 'failed']).toContain(state);
    if (bracket !== null) expect([state, operation.kind]).toEqual(['running', bracket]);
    seen.add(operation.kind);
    const isUp = state === 'running' || state === 'paused';
    for (const asked of isUp ? [command.stop, command.restart, command.forceRemove] : [command.forceRemove]) {
      const fork = story.fork();
      expect(fork.when(asked)).toMatchObject({ kind: 'accepted', cancels: [effect?.effectId] });
      expect(fork.view).toMatchObject({ operation: null, bracket: null });
    }
  };
  const { snapshot, removeSnapshot, restore, clone, export: exporting } = command;
  for (const asked of [snapshot, removeSnapshot, restore, clone, exporting]) {
    const story = Story.of(...historyOf.failed, ...keptSnapshot);
    story.when(asked);
    holds(story);
  }
  always(holds);
  expect([...seen].sort()).toEqual(Object.keys(kinds).sort());
});

test('the snapshots of a box have names and ids of their own, and parents that are there', () => {
  let most = 0;
  always(({ view: { snapshots, standsOn } }) => {
    const ids = snapshots.map(({ snapshotId }) => snapshotId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(snapshots.map(({ name }) => name)).size).toBe(ids.length);
    for (const { parent } of [...snapshots, { parent: standsOn }])
      if (parent !== null) expect(ids).toContain(parent);
    most = Math.max(most, ids.length);
  });
  expect(most).toBeGreaterThan(2);
});

test('a box that runs has a process and the health of its run, and one that is down has neither', () => {
  always(({ view: { state, process: its, health, pause } }) => {
    const isUp = ['running', 'pausing', 'paused', 'resuming'].includes(state);
    if (isUp) expect(its).not.toBeNull();
    if (['configured', 'stopped', 'failed', 'removing', 'removed', 'lost'].includes(state))
      expect(its).toBeNull();
    if (state !== 'running') expect(health).toBe('none');
    if (['running', 'pausing', 'stopped', 'starting'].includes(state)) expect(pause).toBeNull();
  });
});

test('a fold of the log gives the same box, however often it is done', () => {
  always((story) => {
    const folds = [1, 2].map(() =>
      story.log.reduce<BoxState | undefined>((state, event) => boxAggregate.evolve(state, event), undefined),
    );
    for (const state of folds)
      expect(state && boxAggregate.persist(state)).toEqual(story.state && boxAggregate.persist(story.state));
  }, 10);
});

test('a box that was persisted and restored is the same, in every state', () => {
  const seen = new Set<string>();
  always(({ state }) => {
    if (state === undefined) throw new Error('the box exists');
    const persisted = boxAggregate.persist(state);
    const restored = boxAggregate.restore(JSON.parse(JSON.stringify(persisted)));
    expect(boxAggregate.persist(restored)).toEqual(persisted);
    expect(boxAggregate.view(restored)).toEqual(boxAggregate.view(state));
    expect([...restored.tags].sort()).toEqual([...state.tags].sort());
    seen.add(boxAggregate.view(state)?.state ?? '');
  });
  expect([...seen].sort()).toEqual([...boxStates].sort());
});

test('a restored box decides as the folded one does', () => {
  always((story) => {
    const { state } = story;
    if (state === undefined) throw new Error('the box exists');
    const restored = boxAggregate.restore(JSON.parse(JSON.stringify(boxAggregate.persist(state))));
    for (const asked of [...Object.values(command), reportExit(1)]) {
      const [one, other] = [state, restored].map((it) => boxAggregate.decide(it, asked, contextOf(story)));
      expect(withoutState(other)).toEqual(withoutState(one));
    }
    expect(admitExec(restored, true)).toEqual(admitExec(state, true));
  }, 6);
});

const withoutState = (answer: ReturnType<typeof boxAggregate.decide> | undefined) =>
  answer?.kind === 'accepted' ? { ...answer, state: boxAggregate.persist(answer.state) } : answer;

test('deciding again gives the same answer and changes nothing', () => {
  always((story) => {
    const { state } = story;
    const before = state && JSON.stringify(boxAggregate.persist(state));
    for (const asked of Object.values(command)) {
      const [one, other] = [1, 2].map(() => boxAggregate.decide(state, asked, contextOf(story)));
      expect(withoutState(one)).toEqual(withoutState(other));
    }
    expect(state && JSON.stringify(boxAggregate.persist(state))).toBe(before);
  }, 6);
});

test('from every state that can be reached there is a way to removed', () => {
  always((story) => {
    const fork = story.fork();
    for (let step = 0; step < 4 && fork.view.state !== 'removed'; step += 1) {
      const { effect } = fork.view;
      if (effect === null || step === 0) fork.when(command.forceRemove);
      else fork.settle(success[effect.kind]);
    }
    expect(fork.view.state).toBe('removed');
  });
});
