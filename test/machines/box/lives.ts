import fc from 'fast-check';
import { expect } from 'vitest';
import type { BoxEvent, Health } from '../../../src/events/box-events.ts';
import { boxStates } from '../../../src/events/box-view.ts';
import type { BoxCommand } from '../../../src/events/commands.ts';
import type { CopyMethod } from '../../../src/events/disk-operations.ts';
import { type EffectOutcome, effectKinds } from '../../../src/events/effects.ts';
import { boxStream, defaultTenant, effectIdFor, version } from '../../../src/kernel/ids.ts';
import { limits } from '../../../src/kernel/limits.ts';
import { takeBoxEvent } from '../../../src/machines/box/box-state.ts';
import {
  command,
  createdWith,
  failed,
  historyOf,
  lost,
  numbered,
  placement,
  process,
  Story,
  snapshotted,
  success,
  theBox,
  withSnapshots,
} from './story.ts';

/** What can come to a box: a caller's command, an outcome or report, or what another part of the system records. */
type Happening =
  | { readonly kind: 'command'; readonly command: BoxCommand }
  | { readonly kind: 'outcome'; readonly succeeds: boolean; readonly copy: CopyMethod }
  | { readonly kind: 'stale-outcome'; readonly at: number; readonly effect: keyof typeof effectKinds }
  | { readonly kind: 'exit'; readonly generation: number; readonly code: number }
  | { readonly kind: 'health'; readonly generation: number; readonly health: Health }
  | { readonly kind: 'up-for-long' }
  | { readonly kind: 'event'; readonly event: BoxEvent };

const found = (running: boolean): BoxEvent => ({
  type: 'box.found',
  data: { placement, process: running ? process : null, exit: null, timeoutMs: 72_000 },
});

const snapshotNames = ['one', 'two', 'three', 'kept'] as const;
const snapshotName = fc.constantFrom(...snapshotNames);
const consistency = fc.constantFrom('best-effort', 'required');
/** Commands with what their callers choose; those of `command` that have nothing to choose are as they are. */
const someCommand: fc.Arbitrary<BoxCommand> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<BoxCommand>(...Object.values(command)) },
  {
    weight: 2,
    arbitrary: fc
      .record({ name: snapshotName, n: fc.integer({ min: 1, max: 5 }), consistency })
      .map(({ n, ...it }) => ({ ...command.snapshot, ...it, snapshotId: numbered(n) })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ asked: fc.constantFrom('removeSnapshot', 'restore'), snapshot: snapshotName })
      .map(({ asked, snapshot }) => ({ ...command[asked], snapshot })),
  },
  { weight: 1, arbitrary: fc.boolean().map((includeEnv) => ({ ...command.export, includeEnv })) },
  { weight: 1, arbitrary: fc.constantFrom('web', 'other').map((name) => ({ ...command.rename, name })) },
  { weight: 1, arbitrary: fc.constant({ ...command.pause, maxDurationMs: 60_000 }) },
);

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 8, arbitrary: someCommand.map((it) => ({ kind: 'command' as const, command: it })) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('outcome' as const),
      succeeds: fc.integer({ min: 0, max: 3 }).map((chance) => chance > 0),
      copy: fc.constantFrom<CopyMethod>('reflink', 'copy', 'chain'),
    }),
  },
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
    arbitrary: fc.record({
      kind: fc.constant('exit' as const),
      generation: fc.integer({ min: 1, max: 4 }),
      code: fc.integer({ min: 0, max: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('health' as const),
      generation: fc.integer({ min: 1, max: 4 }),
      health: fc.constantFrom<Health>('none', 'starting', 'healthy', 'unhealthy'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'up-for-long' as const }) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(lost, found(true), found(false))
      .map((event) => ({ kind: 'event' as const, event })),
  },
);

const happen = (story: Story, it: Happening): void => {
  const asked = story.state === undefined ? null : story.view.effect;
  switch (it.kind) {
    case 'command':
      story.when(it.command);
      return;
    case 'outcome':
      if (asked !== null)
        story.settle(it.succeeds ? copiedBy(it.copy, success[asked.kind]) : failed(asked.kind));
      return;
    case 'stale-outcome': {
      if (story.state === undefined) return;
      const effectId = effectIdFor(theBox, version(it.at), it.effect);
      const answer = story.settle(success[it.effect], { effectId });
      if (effectId !== asked?.effectId) expect(answer.kind).toBe('refused');
      return;
    }
    case 'exit':
      story.when({
        ...{ type: 'box.reportExit', boxId: theBox, generation: it.generation, placement },
        exit: { kind: 'code', code: it.code },
      });
      return;
    case 'health':
      story.when({
        ...{ type: 'box.reportHealth', boxId: theBox },
        generation: it.generation,
        health: it.health,
      });
      return;
    case 'up-for-long':
      story.tick(limits.restartResetAfterMs);
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

const copiedBy = (copy: CopyMethod, outcome: EffectOutcome): EffectOutcome =>
  outcome.kind === 'disk.snapshot' && outcome.outcome.status === 'succeeded'
    ? { ...outcome, outcome: { ...outcome.outcome, result: { ...outcome.outcome.result, copy } } }
    : outcome;

const someOptions = fc.record({
  restart: fc.record(
    { policy: fc.constantFrom('no', 'on-failure', 'always'), maxRetries: fc.integer({ min: 1, max: 3 }) },
    { requiredKeys: ['policy'] },
  ),
  autoRemove: fc.boolean(),
  healthCheck: fc.constantFrom(undefined, {}),
});

const [first, second] = [snapshotted('one', 1, 'chain'), snapshotted('two', 2)];

/** Lives that begin in each state in turn, with snapshots where there is a disk, and what is to hold at their beginning and after each thing that happens. */
export const always = (holds: (story: Story) => void, numRuns = 25) => {
  for (const state of boxStates)
    fc.assert(
      fc.property(someOptions, fc.array(happening, { maxLength: 30 }), (options, happenings) => {
        const [, ...rest] = historyOf[state];
        const story = Story.of(...withSnapshots([createdWith(options), ...rest], first, second));
        holds(story);
        for (const it of happenings) {
          happen(story, it);
          holds(story);
        }
      }),
      { numRuns },
    );
};
