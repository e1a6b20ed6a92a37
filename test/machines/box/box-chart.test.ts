import { expect, test } from 'vitest';
import type { BoxEvent, BoxEventType } from '../../../src/events/box-events.ts';
import { boxStates } from '../../../src/events/box-view.ts';
import { BrokenInvariant } from '../../../src/kernel/assert.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import { boxMachine } from '../../../src/machines/box/box-machine.ts';
import { definitionOf } from '../../../src/machines/chart.ts';
import { created, historyOf, paused, Story, started } from './story.ts';

test.each([
  ['a second creation', historyOf.configured, created],
  ['a start of a box that was never asked to start', historyOf.configured, started],
  ['a pause that nobody asked for', historyOf.running, paused],
  ['anything after the removal', historyOf.removed, started],
  ['anything before the creation', [], started],
] as const)('a history with %s is no history of a box', (_, history, event) => {
  const story = Story.of(...history);
  expect(() => story.record(event, story.tick())).toThrow(BrokenInvariant);
});

test('a generation that was left out is no history of a box', () => {
  const story = Story.of(...historyOf.stopped);
  const [, asked] = historyOf.starting;
  const third: BoxEvent = { ...asked, data: { ...asked.data, generation: 3 } } as BoxEvent; // still a start
  expect(() => story.record(third, story.tick())).toThrow(BrokenInvariant);
});

test('the statechart knows the states and events of the language, and no others', () => {
  expect(Object.keys(boxMachine.states).sort()).toEqual(['absent', ...boxStates].sort());
  const taken = new Set(boxMachine.events.map((type): string => type));
  const language: Record<BoxEventType, true> = {
    'box.created': true,
    'box.startRequested': true,
    'box.started': true,
    'box.startFailed': true,
    'box.stopRequested': true,
    'box.stopFailed': true,
    'box.stopped': true,
    'box.exited': true,
    'box.pauseRequested': true,
    'box.paused': true,
    'box.pauseFailed': true,
    'box.resumeRequested': true,
    'box.resumed': true,
    'box.resumeFailed': true,
    'box.removeRequested': true,
    'box.removeFailed': true,
    'box.removed': true,
    'box.healthChanged': true,
    'box.renamed': true,
    'box.snapshotRequested': true,
    'box.snapshotCreated': true,
    'box.snapshotFailed': true,
    'box.snapshotRemovalRequested': true,
    'box.snapshotRemoved': true,
    'box.snapshotRemovalFailed': true,
    'box.restoreRequested': true,
    'box.restored': true,
    'box.restoreFailed': true,
    'box.cloneRequested': true,
    'box.cloned': true,
    'box.cloneFailed': true,
    'box.exportRequested': true,
    'box.exported': true,
    'box.exportFailed': true,
    'box.lost': true,
    'box.found': true,
  };
  expect([...taken].sort()).toEqual(Object.keys(language).sort());
});

test('health is that of the run: it changes while the box runs, and a pause leaves it as it was', () => {
  const healthy: BoxEvent = { type: 'box.healthChanged', data: { health: 'healthy' } };
  const unhealthy: BoxEvent = { type: 'box.healthChanged', data: { health: 'unhealthy' } };
  expect(Story.of(...historyOf.running, healthy).view.health).toBe('healthy');
  expect(Story.of(...historyOf.running, healthy, unhealthy).view.health).toBe('unhealthy');
  expect(
    Story.of(...historyOf.running, healthy, ...historyOf.resuming.slice(3), {
      type: 'box.resumed',
      data: {},
    }).view.health,
  ).toBe('healthy');
});

test('a definition changes with the chart and with what the context keeps, and not with the order of keys', () => {
  const definition = (config: unknown, revision = 1) => definitionOf({ config }, revision);
  expect(definition({ a: 1, b: { c: 2, d: 3 } })).toBe(definition({ b: { d: 3, c: 2 }, a: 1 }));
  expect(definition({ a: 1 })).not.toBe(definition({ a: 2 }));
  expect(definition({ a: 1 })).not.toBe(definition({ a: 1 }, 2));
  expect(boxAggregate.definition).toContain('"box.startRequested"');
  expect(boxAggregate.definition).toContain('"isNextStart"');
});
