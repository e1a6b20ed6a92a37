import { describe, expect, test } from 'vitest';
import type { BoxEvent } from '../../../src/events/box-events.ts';
import { effectIdFor, version } from '../../../src/kernel/ids.ts';
import { plusMs } from '../../../src/kernel/time.ts';
import { admitExec } from '../../../src/machines/box/admit-exec.ts';
import {
  command,
  created,
  failed,
  failure,
  historyOf,
  lost,
  options,
  placement,
  process,
  removeRequested,
  reportExit,
  Story,
  startRequested,
  success,
  theBox,
} from './story.ts';

const refusal = (code: string) => ({ kind: 'refused', refusal: { code } });

describe('a removal', () => {
  test('waits for the disk to be gone', () => {
    const story = Story.of(...historyOf.stopped);
    story.when(command.remove);
    expect(story.view).toMatchObject({ state: 'removing', hasDisk: true });
    expect(story.effects).toMatchObject([{ kind: 'disk.remove', args: {}, generation: 1 }]);
    story.settle(success['disk.remove']);
    expect(story.view).toMatchObject({ state: 'removed', hasDisk: false, effect: null });
  });

  test('that failed is tried again until it succeeds', () => {
    const story = Story.of(...historyOf.removing);
    story.settle(failed('disk.remove'));
    expect(story.view).toMatchObject({ state: 'removing', failure });
    expect(story.effects).toMatchObject([{ kind: 'disk.remove', notBefore: plusMs(story.now, 1000) }]);
    story.settle(success['disk.remove']);
    expect(story.view.state).toBe('removed');
  });

  test.each(['starting', 'running', 'pausing', 'paused', 'resuming'] as const)(
    'by force of a box that is %s stops it, then removes it, each asked for in one append',
    (state) => {
      const story = Story.of(...historyOf[state]);
      const before = story.log.length;
      expect(story.when(command.forceRemove)).toMatchObject({
        events: [{ type: 'box.stopRequested', data: { thenRemove: true } }],
      });
      expect(story.settle(success['vm.shutdown'])).toMatchObject({
        events: [{ type: 'box.stopped' }, { type: 'box.removeRequested', data: { force: true } }],
        effects: [{ kind: 'disk.remove', effectId: effectIdFor(theBox, version(before + 3), 'disk.remove') }],
        cancels: [],
      });
      story.settle(success['disk.remove']);
      expect(story.view.state).toBe('removed');
    },
  );

  test('by force of a box that is stopping lets the stop go on, and is asked for only once', () => {
    const story = Story.of(...historyOf.stopping);
    const { effect } = story.view;
    expect(story.when(command.forceRemove)).toMatchObject({ kind: 'accepted', effects: [], cancels: [] });
    expect(story.view.effect).toEqual(effect);
    expect(story.when(command.forceRemove)).toEqual({ kind: 'already-so' });
    story.settle(failed('vm.shutdown'));
    story.settle(success['vm.shutdown']);
    expect(story.view.state).toBe('removing');
  });

  test('of a removed box is already so, and everything else about it is not found', () => {
    const story = Story.of(...historyOf.removed);
    expect(story.when(command.remove)).toEqual({ kind: 'already-so' });
    expect(story.when(command.start)).toMatchObject(refusal('NotFound'));
  });
});

describe('an outcome', () => {
  test.each([
    ['of another effect', { effectId: effectIdFor(theBox, version(99), 'vm.boot') }],
    ['of another generation', { generation: 7 }],
  ])('%s is refused as stale', (_, told) => {
    const story = Story.of(...historyOf.starting);
    expect(story.settle(success['vm.boot'], told)).toMatchObject({
      kind: 'refused',
      refusal: { code: 'Conflict', details: { stale: true } },
    });
    expect(story.view.state).toBe('starting');
  });

  test('of another kind is refused as stale', () => {
    expect(Story.of(...historyOf.starting).settle(success['vm.pause'])).toMatchObject(refusal('Conflict'));
  });

  test('that comes a second time is refused as stale', () => {
    const story = Story.of(...historyOf.starting);
    const { effectId } = story.view.effect ?? {};
    story.settle(success['vm.boot']);
    expect(effectId).toBeDefined();
    expect(story.settle(success['vm.boot'], effectId ? { effectId } : {})).toMatchObject(refusal('Conflict'));
  });

  test('of a boot that a stop has overtaken does not bring the box back', () => {
    const story = Story.of(...historyOf.starting);
    const { effectId } = story.view.effect ?? {};
    story.when(command.stop);
    expect(story.cancelled).toEqual([effectId]);
    expect(story.settle(success['vm.boot'], effectId ? { effectId } : {})).toMatchObject(refusal('Conflict'));
    expect(story.view.state).toBe('stopping');
  });
});

describe('a box that ended by itself', () => {
  test.each(['running', 'pausing', 'paused', 'resuming'] as const)(
    'while %s is stopped, its exit kept, and nothing waited for',
    (state) => {
      const story = Story.of(...historyOf[state]);
      const asked = story.view.effect?.effectId;
      expect(story.when(reportExit(1))).toMatchObject({
        events: [{ type: 'box.exited' }],
        cancels: asked === undefined ? [] : [asked],
      });
      expect(story.view).toMatchObject({
        state: 'stopped',
        exit: { kind: 'signal', signal: 'SIGKILL' },
        process: null,
        effect: null,
        stoppedAt: story.now,
      });
      expect(story.when(reportExit(1))).toEqual({ kind: 'already-so' });
    },
  );

  test.each(['configured', 'starting', 'stopping', 'failed', 'lost', 'removing', 'removed'] as const)(
    'is not heard while it is %s',
    (state) => {
      expect(Story.of(...historyOf[state]).when(reportExit(1))).toMatchObject(refusal('Conflict'));
    },
  );

  test('in an earlier generation is not heard', () => {
    const story = Story.of(...historyOf.stopped, startRequested(2));
    story.settle(success['vm.boot']);
    expect(story.when(reportExit(1))).toMatchObject(refusal('Conflict'));
    expect(story.view.state).toBe('running');
  });
});

describe('a lost box', () => {
  const found = (running: boolean): BoxEvent => ({
    type: 'box.found',
    data: {
      placement: { ...placement, epoch: 2 },
      process: running ? process : null,
      exit: null,
      timeoutMs: 72_000,
    },
  });

  test('is found again, running or not', () => {
    const runs = Story.of(...historyOf.lost, found(true));
    expect(runs.view).toMatchObject({ state: 'running', process, placement: { epoch: 2 } });
    const ended = Story.of(...historyOf.lost, found(false));
    expect(ended.view).toMatchObject({ state: 'stopped', process: null, exit: { kind: 'unknown' } });
  });

  test('that was asked to stop is stopped when it is found running', () => {
    const story = Story.of(...historyOf.lost);
    expect(story.when(command.stop)).toMatchObject({ kind: 'accepted', effects: [] });
    expect(story.view).toMatchObject({ state: 'lost', effect: null });
    expect(story.when(command.stop)).toEqual({ kind: 'already-so' });
    story.record(found(true), story.tick());
    expect(story.view).toMatchObject({ state: 'stopping', effect: { kind: 'vm.shutdown' } });
  });

  test('is removed only by force, and its disk is given up', () => {
    const story = Story.of(...historyOf.lost);
    expect(story.when(command.remove)).toMatchObject(refusal('InvalidState'));
    expect(story.when(command.forceRemove)).toMatchObject({
      events: [{ type: 'box.removeRequested' }, { type: 'box.removed', data: { diskAbandoned: true } }],
      effects: [],
    });
    expect(story.view).toMatchObject({ state: 'removed', hasDisk: true });
  });

  test('that was being removed goes on to be removed when it is found', () => {
    const story = Story.of(...historyOf.stopped, removeRequested, lost);
    expect(story.view).toMatchObject({ state: 'lost', effect: null });
    story.record(found(false), story.tick());
    expect(story.view).toMatchObject({ state: 'removing', effect: { kind: 'disk.remove' } });
  });
});

test('exec starts a box only if the call and the box both allow it', () => {
  const manual: BoxEvent = {
    type: 'box.created',
    data: { name: 'web', options: { ...options, autoStart: false } },
  };
  const kinds = [created, manual].flatMap((event) =>
    [true, false].map((autoStart) => {
      const { state } = Story.of(event);
      return state && admitExec(state, autoStart).kind;
    }),
  );
  expect(kinds).toEqual(['start-first', 'refused', 'refused', 'refused']);
});
