import { describe, expect, test } from 'vitest';
import type { BoxEvent } from '../../../src/events/box-events.ts';
import { plusMs } from '../../../src/kernel/time.ts';
import {
  command,
  createdWith,
  failed,
  historyOf,
  reportExit,
  Story,
  started,
  startRequested,
  success,
  theBox,
} from './story.ts';

const refusal = (code: string) => ({ kind: 'refused', refusal: { code } });

describe('health', () => {
  const report = (story: Story, health: 'healthy' | 'unhealthy', generation = story.view.generation) =>
    story.when({ type: 'box.reportHealth', boxId: theBox, generation, health });
  const watched = () => Story.of(createdWith({ healthCheck: {} }), startRequested(), started);

  test('begins with each run, is recorded where it changes, and is none once the run has ended', () => {
    const story = watched();
    expect(story.view.health).toBe('starting');
    expect(report(story, 'healthy')).toMatchObject({ events: [{ type: 'box.healthChanged' }], effects: [] });
    expect(report(story, 'healthy')).toEqual({ kind: 'already-so' });
    report(story, 'unhealthy');
    expect(story.view).toMatchObject({ state: 'running', health: 'unhealthy' });
    story.when(command.restart);
    expect(story.view.health).toBe('none');
    story.settle(success['vm.shutdown']);
    story.settle(success['vm.boot']);
    expect(story.view.health).toBe('starting');
  });

  test('is heard of also after it was found to be bad: unhealthy is no end', () => {
    const story = watched();
    for (const health of ['unhealthy', 'healthy', 'unhealthy', 'healthy'] as const) {
      expect(report(story, health).kind).toBe('accepted');
      expect(story.view).toMatchObject({ state: 'running', health });
    }
  });

  test('is kept over a pause, and over one that failed; what comes meanwhile is too late', () => {
    for (const outcome of [success['vm.pause'], failed('vm.pause')]) {
      const story = watched();
      report(story, 'unhealthy');
      story.when(command.pause);
      expect(report(story, 'healthy')).toMatchObject(refusal('Conflict'));
      story.settle(outcome);
      if (story.view.state === 'paused') {
        expect(report(story, 'healthy')).toMatchObject(refusal('Conflict'));
        story.when(command.resume);
        story.settle(success['vm.resume']);
      }
      expect(story.view).toMatchObject({ state: 'running', health: 'unhealthy' });
    }
  });

  test('of an earlier run is not heard', () => {
    const story = watched();
    story.when(command.restart);
    story.settle(success['vm.shutdown']);
    story.settle(success['vm.boot']);
    expect(report(story, 'healthy', 1)).toMatchObject(refusal('Conflict'));
  });

  test('changes in the midst of an operation and leaves it as it is', () => {
    const story = watched();
    story.when(command.snapshot);
    const { effect } = story.view;
    report(story, 'healthy');
    expect(story.view).toMatchObject({ health: 'healthy', bracket: 'snapshot', effect });
    story.settle(success['disk.snapshot']);
    expect(story.view).toMatchObject({ health: 'healthy', bracket: null });
  });
});

describe('a pause to disk', () => {
  const toDisk = { ...command.pause, toDisk: true };

  test('has its memory written, which may take longer, and says where it is', () => {
    const [story, other] = [Story.of(...historyOf.running), Story.of(...historyOf.running)];
    expect(story.when(toDisk)).toMatchObject({ effects: [{ kind: 'vm.pause', args: { toDisk: true } }] });
    other.when(command.pause);
    expect(other.effects.at(-1)?.args).not.toHaveProperty('toDisk');
    for (const each of [story, other]) each.settle(success['vm.pause']);
    expect(story.view.pause).toMatchObject({ toDisk: true });
    expect(other.view.pause).toMatchObject({ toDisk: false });
    expect(story.when(toDisk)).toEqual({ kind: 'already-so' });
    expect(story.when(command.pause)).toEqual({ kind: 'already-so' });
    expect(other.when(toDisk)).toMatchObject({
      kind: 'refused',
      refusal: { code: 'InvalidState', help: expect.stringContaining('Resume it first') },
    });
  });
});

describe('a pause that is to last for so long at most', () => {
  const pause = { ...command.pause, maxDurationMs: 60_000 };

  test('says until when, from the moment that the box is paused', () => {
    const story = Story.of(...historyOf.running);
    story.when(pause);
    expect(story.view.pause).toBeNull();
    story.settle(success['vm.pause']);
    expect(story.view.pause).toEqual({
      since: story.now,
      until: plusMs(story.now, 60_000),
      consistency: 'crash',
      toDisk: false,
    });
    story.when(command.resume);
    story.settle(failed('vm.resume'));
    expect(story.view).toMatchObject({ state: 'paused', pause: { until: expect.any(String) } });
    story.when(command.resume);
    story.settle(success['vm.resume']);
    expect(story.view).toMatchObject({ state: 'running', pause: null });
  });

  test('counts for one pause alone', () => {
    const story = Story.of(...historyOf.running);
    for (const [asked, until] of [
      [pause, expect.any(String)],
      [command.pause, null],
    ]) {
      story.when(asked);
      story.settle(success['vm.pause']);
      expect(story.view.pause).toMatchObject({ until });
      story.when(command.resume);
      story.settle(success['vm.resume']);
    }
  });

  test('is over when the box ends while it is paused', () => {
    const endings: readonly ((story: Story) => void)[] = [
      (story) => void story.when(reportExit(1)),
      (story) => {
        story.when(command.stop);
        story.settle(success['vm.shutdown']);
      },
    ];
    for (const end of endings) {
      const story = Story.of(...historyOf.running);
      story.when(pause);
      story.settle(success['vm.pause']);
      end(story);
      expect(story.view).toMatchObject({ state: 'stopped', pause: null });
    }
  });
});

const renamed: BoxEvent = { type: 'box.renamed', data: { name: 'other' } };
test('a new name is that of the box from then on, in every state that it can be renamed in', () => {
  for (const state of ['configured', 'starting', 'paused', 'stopping', 'failed', 'lost'] as const) {
    const story = Story.of(...historyOf[state], renamed);
    expect(story.view).toMatchObject({ state, name: 'other' });
  }
  const started = Story.of(...historyOf.configured, renamed);
  started.when(command.start);
  expect(started.effects).toMatchObject([{ kind: 'vm.boot', args: { name: 'other' } }]);
});
