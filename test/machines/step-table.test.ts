import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AnyStateMachine, assign, type StateValue, setup, transition } from 'xstate';
import type { BoxEvent } from '../../src/events/box-events.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { Snapshot } from '../../src/events/disk-operations.ts';
import { BrokenInvariant } from '../../src/kernel/assert.ts';
import {
  boxStream,
  defaultTenant,
  effectIdFor,
  exportId,
  snapshotId,
  version,
} from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { type BoxContext, unborn } from '../../src/machines/box/box-context.ts';
import { boxMachine } from '../../src/machines/box/box-machine.ts';
import { stepTable } from '../../src/machines/step-table.ts';
import { failure, options, placement, process, theBox, theClone } from './box/story.ts';

/** Every state that a chart can be in, states within states as well. */
const valuesOf = ({ type, states }: AnyStateMachine['root']): readonly StateValue[] => {
  const inner = Object.entries(states).map(([key, node]) => ({ key, values: valuesOf(node) }));
  if (type === 'parallel')
    return inner.reduce<readonly Record<string, StateValue>[]>(
      (products, { key, values }) =>
        products.flatMap((product) => values.map((value) => ({ ...product, [key]: value }))),
      [{}],
    );
  return inner.flatMap(({ key, values }): readonly StateValue[] =>
    values.length === 0 ? [key] : values.map((value) => ({ [key]: value })),
  );
};
const values = valuesOf((boxMachine as unknown as AnyStateMachine).root); // the machine's own types say no more of its nodes

const kept: Snapshot = {
  snapshotId: snapshotId('sn_0123456789abcdef'),
  name: 'kept',
  parent: null,
  consistency: 'crash',
  copy: 'reflink',
  sizeBytes: 4096,
  createdAt: timestampFromMs(5),
};
const probed = boxOptionsSchema.parse({ healthCheck: {} });
const clone = { boxId: theClone, name: 'copy' };
const anExport = exportId('xp_0123456789abcdef');

/** What guards, assignments and intents of the chart look at. */
const context: fc.Arbitrary<BoxContext> = fc.record({
  boxId: fc.constant(theBox),
  tenant: fc.constant(defaultTenant),
  name: fc.constant('web'),
  options: fc.constantFrom(options, probed),
  createdAt: fc.constant(unborn.createdAt),
  generation: fc.integer({ min: 0, max: 2 }),
  placement: fc.constant(placement),
  process: fc.constant(process),
  frozen: fc.boolean(),
  hasDisk: fc.boolean(),
  origin: fc.constant(null),
  snapshots: fc.constant([kept]),
  standsOn: fc.constantFrom(null, kept.snapshotId),
  operation: fc.constantFrom(
    null,
    { kind: 'snapshot' as const, snapshotId: kept.snapshotId, name: 'kept' },
    { kind: 'snapshotRemoval' as const, snapshotId: kept.snapshotId },
    { kind: 'restore' as const, snapshotId: kept.snapshotId },
    { kind: 'clone' as const, clones: [clone] },
    { kind: 'export' as const, exportId: anExport, includeEnv: true },
  ),
  health: fc.constantFrom('none', 'starting', 'healthy', 'unhealthy'),
  pause: fc.constantFrom(null, {
    maxDurationMs: 1_000,
    since: null,
    consistency: 'crash' as const,
    toDisk: false,
  }),
  restarts: fc.integer({ min: 0, max: 2 }),
  goal: fc.constantFrom('none', 'restart', 'stop', 'remove'),
  effect: fc.constantFrom(null, {
    effectId: effectIdFor(theBox, version(1), 'vm.boot'),
    kind: 'vm.boot' as const,
    deadline: timestampFromMs(1),
  }),
  retries: fc.integer({ min: 0, max: 3 }),
  exit: fc.constant(null),
  failure: fc.constantFrom(null, failure),
  startedAt: fc.constant(null),
  resumedAt: fc.constant(null),
  stoppedAt: fc.constant(null),
});

const exit = { kind: 'code', code: 0 } as const;
const event: fc.Arbitrary<BoxEvent> = fc.record({ type: fc.constantFrom(...boxMachine.events) }).chain(
  ({ type }) =>
    fc
      .record({
        name: fc.constant('web'),
        options: fc.constant(options),
        placement: fc.constant(placement),
        generation: fc.integer({ min: 1, max: 3 }),
        timeoutMs: fc.constant(100_000),
        process: fc.constantFrom(null, process),
        exit: fc.constant(exit),
        failures: fc.constantFrom([], [failure]),
        failure: fc.constant(failure),
        thawFailure: fc.constantFrom(null, failure),
        thenRemove: fc.boolean(),
        force: fc.boolean(),
        diskAbandoned: fc.boolean(),
        health: fc.constantFrom('none', 'starting', 'healthy', 'unhealthy'),
        origin: fc.constantFrom(undefined, { from: { kind: 'clone', boxId: theBox, version: 2 }, placement }),
        snapshotId: fc.constant(kept.snapshotId),
        exportId: fc.constant(anExport),
        includeEnv: fc.boolean(),
        clones: fc.constant([clone]),
        consistency: fc.constantFrom('best-effort', 'required'),
        bracket: fc.constant({ consistency: 'crash', freezeMs: 1, pausedMs: 2, thawMs: 3 }),
        sizeBytes: fc.constant(4096),
        copy: fc.constantFrom('reflink', 'chain'),
        thenStart: fc.boolean(),
        restart: fc.constantFrom(undefined, { attempt: 1, delayMs: 1_000 }),
        maxDurationMs: fc.constantFrom(undefined, 5_000),
      })
      .map((data) => ({ type, data }) as unknown as BoxEvent), // all that any event of a box has
);

/** What came of a step, or that it threw: a context that no history leads to has no effects to offer. */
const outcomeOf = (step: () => object | undefined) => {
  try {
    return step();
  } catch (error) {
    return { threw: (error as Error).message };
  }
};

test('a step that is looked up is the step that XState takes, in every state, with every event and context', () => {
  const table = stepTable(boxMachine);
  const met = new Set<string>();
  // Chance may pass an event by; ten times in a row it does not.
  for (let round = 0; round < 10 && met.size < boxMachine.events.length; round += 1)
    for (const value of values)
      fc.assert(
        fc.property(context, event, (inContext, proposed) => {
          const at = {
            streamId: boxStream(theBox),
            version: version(3),
            occurredAt: timestampFromMs(9),
            tenant: defaultTenant,
          };
          const happened = { ...proposed, ...at };
          const state = boxMachine.resolveState({ value, context: inContext } as never); // a value of the list above
          const expected = outcomeOf(() => {
            if (!state.can(happened)) return undefined;
            const [next, actions] = transition(boxMachine, state, happened);
            const named = actions.map(({ type, params }) => ({ type, params }));
            return { value: next.value, context: next.context, tags: [...next.tags].sort(), actions: named };
          });
          const looked = outcomeOf(() => {
            const step = table.take(table.stateOf(state.value, inContext), happened);
            if (step === undefined) return undefined;
            met.add(proposed.type);
            const { value, context, tags } = step.state;
            return { value, context, tags: [...tags].sort(), actions: step.actions };
          });
          expect(looked).toEqual(expected);
        }),
        { numRuns: 200 },
      );
  expect([...met].sort()).toEqual([...boxMachine.events].sort());
});

test('a state that is looked up says what XState says of it', () => {
  const table = stepTable(boxMachine);
  for (const value of values) {
    const state = boxMachine.resolveState({ value, context: unborn } as never); // a value of the list above
    const same = table.stateOf(state.value, unborn);
    expect(same).toMatchObject({ value: state.value, context: state.context, tags: state.tags });
    for (const tag of ['alreadyStarted', 'execRuns', 'alreadyRemoved'] as const)
      expect(same.hasTag(tag)).toBe(state.hasTag(tag));
    expect(same.matches({ removing: 'nothing' })).toBe(state.matches({ removing: 'nothing' }));
    expect(same.matches('running')).toBe(state.matches('running'));
  }
  expect(table.initial.value).toBe('absent');
});

test('guards of several transitions are asked in their order, and an action sees what those before it assigned', () => {
  const machine = setup({
    types: { context: {} as { count: number }, events: {} as { type: 'go'; by: number } },
    guards: { isAbove: ({ event }, { than }: { than: number }) => event.by > than },
    actions: {
      add: assign({ count: ({ context, event }) => context.count + event.by }),
      tell: (_: unknown, _told: { count: number }) => undefined,
    },
  }).createMachine({
    context: { count: 1 },
    initial: 'a',
    states: {
      a: {
        on: {
          go: [
            { target: 'c', guard: { type: 'isAbove', params: { than: 10 } }, actions: 'add' },
            { target: 'b', guard: { type: 'isAbove', params: { than: 5 } } },
            {
              actions: ['add', { type: 'tell', params: ({ context }) => ({ count: context.count }) }, 'add'],
            },
          ],
        },
        exit: 'add',
      },
      b: {},
      c: {},
    },
  });
  const table = stepTable(machine);
  const after = (by: number) => table.take(table.initial, { type: 'go', by } as { type: string });
  expect(after(11)?.state).toMatchObject({ value: 'c', context: { count: 23 } });
  expect(after(6)?.state).toMatchObject({ value: 'b', context: { count: 7 } });
  expect(after(2)?.state).toMatchObject({ value: 'a', context: { count: 5 } });
  expect(after(2)?.actions).toEqual([{ type: 'tell', params: { count: 3 } }]);
  expect(table.take(table.initial, { type: 'stay' })).toBeUndefined();
});

test.each([
  ['transitions without an event', { initial: 'a', states: { a: { always: 'b' }, b: {} } }],
  ['timers', { initial: 'a', states: { a: { after: { 1: 'b' } }, b: {} } }],
  ['actions without a name', { on: { go: { actions: () => undefined } } }],
])('a chart with %s has no table', (_, config) => {
  const machine = setup({}).createMachine(config as never) as unknown as AnyStateMachine; // as no chart of ours is
  expect(() => stepTable(machine)).toThrow(BrokenInvariant);
});
