import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BoxEvent } from '../../../src/events/box-events.ts';
import { boxStates, boxViewSchema } from '../../../src/events/box-view.ts';
import type { BoxCommand } from '../../../src/events/commands.ts';
import { effectIntentSchema, effectKinds } from '../../../src/events/effects.ts';
import { boxStream, defaultTenant, effectIdFor, version } from '../../../src/kernel/ids.ts';
import { admitExec } from '../../../src/machines/box/admit-exec.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import { type BoxState, takeBoxEvent } from '../../../src/machines/box/box-state.ts';
import {
  command,
  failed,
  historyOf,
  lost,
  placement,
  process,
  reportExit,
  Story,
  success,
  theBox,
} from './story.ts';

/** What can come to a box: a caller's command, an outcome or report, or what another part of the system records. */
type Happening =
  | { readonly kind: 'command'; readonly command: BoxCommand }
  | { readonly kind: 'outcome'; readonly succeeds: boolean }
  | { readonly kind: 'stale-outcome'; readonly at: number; readonly effect: keyof typeof effectKinds }
  | { readonly kind: 'exit'; readonly generation: number }
  | { readonly kind: 'event'; readonly event: BoxEvent };

const found = (running: boolean): BoxEvent => ({
  type: 'box.found',
  data: { placement, process: running ? process : null, exit: null, timeoutMs: 72_000 },
});
const recordedByOthers: readonly BoxEvent[] = [
  lost,
  found(true),
  found(false),
  { type: 'box.healthChanged', data: { health: 'healthy' } },
];

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .constantFrom(...Object.values(command))
      .map((it) => ({ kind: 'command' as const, command: it })),
  },
  { weight: 5, arbitrary: fc.boolean().map((succeeds) => ({ kind: 'outcome' as const, succeeds })) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('stale-outcome' as const),
      at: fc.integer({ min: 1, max: 60 }),
      effect: fc.constantFrom(...(Object.keys(effectKinds) as (keyof typeof effectKinds)[])),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 4 }).map((generation) => ({ kind: 'exit' as const, generation })),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...recordedByOthers).map((event) => ({ kind: 'event' as const, event })),
  },
);

const happen = (story: Story, it: Happening): void => {
  const asked = story.state === undefined ? null : story.view.effect;
  switch (it.kind) {
    case 'command':
      story.when(it.command);
      return;
    case 'outcome':
      if (asked !== null) story.settle(it.succeeds ? success[asked.kind] : failed(asked.kind));
      return;
    case 'stale-outcome': {
      if (story.state === undefined) return;
      const effectId = effectIdFor(theBox, version(it.at), it.effect);
      const answer = story.settle(success[it.effect], { effectId });
      if (effectId !== asked?.effectId) expect(answer.kind).toBe('refused');
      return;
    }
    case 'exit':
      story.when(reportExit(it.generation));
      return;
    case 'event': {
      const at = { streamId: boxStream(theBox), version: version(story.log.length + 1) };
      const candidate = { ...it.event, ...at, occurredAt: story.now, tenant: defaultTenant };
      if (story.state !== undefined && takeBoxEvent(story.state, candidate) !== undefined)
        story.record(it.event, story.tick());
      return;
    }
    default:
      it satisfies never;
  }
};

/** Lives that begin in each state in turn, and what is to hold at their beginning and after each thing that happens. */
const always = (holds: (story: Story) => void, numRuns = 25) => {
  for (const state of boxStates)
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 30 }), (happenings) => {
        const story = Story.of(...historyOf[state]);
        holds(story);
        for (const it of happenings) {
          happen(story, it);
          holds(story);
        }
      }),
      { numRuns },
    );
};

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
    for (const asked of [...Object.values(command), reportExit(story.view.generation || 1)]) {
      const fork = Story.of(...story.log);
      const before = fork.view.effect?.effectId;
      fork.when(asked);
      const overtaken = before !== undefined && fork.view.effect?.effectId !== before;
      expect(fork.cancelled).toEqual(overtaken ? [before] : []);
    }
  }, 4);
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
    const context = { now: story.now, version: story.version, tenant: defaultTenant };
    for (const asked of [...Object.values(command), reportExit(1)]) {
      const [one, other] = [state, restored].map((it) => boxAggregate.decide(it, asked, context));
      expect(withoutState(other)).toEqual(withoutState(one));
    }
    expect(admitExec(restored, true)).toEqual(admitExec(state, true));
  });
});

const withoutState = (answer: ReturnType<typeof boxAggregate.decide> | undefined) =>
  answer?.kind === 'accepted' ? { ...answer, state: boxAggregate.persist(answer.state) } : answer;

test('deciding again gives the same answer and changes nothing', () => {
  always((story) => {
    const { state } = story;
    const before = state && JSON.stringify(boxAggregate.persist(state));
    const context = { now: story.now, version: story.version, tenant: defaultTenant };
    for (const asked of Object.values(command)) {
      const [one, other] = [1, 2].map(() => boxAggregate.decide(state, asked, context));
      expect(withoutState(one)).toEqual(withoutState(other));
    }
    expect(state && JSON.stringify(boxAggregate.persist(state))).toBe(before);
  });
});

test('from every state that can be reached there is a way to removed', () => {
  always((story) => {
    const fork = Story.of(...story.log);
    for (let step = 0; step < 4 && fork.view.state !== 'removed'; step += 1) {
      const { effect } = fork.view;
      if (effect === null || step === 0) fork.when(command.forceRemove);
      else fork.settle(success[effect.kind]);
    }
    expect(fork.view.state).toBe('removed');
  });
});
