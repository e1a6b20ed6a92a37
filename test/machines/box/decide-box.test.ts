import { describe, expect, test } from 'vitest';
import type { BoxEvent } from '../../../src/events/box-events.ts';
import { effectIdFor, hostId, tenantId, version } from '../../../src/kernel/ids.ts';
import { limits } from '../../../src/kernel/limits.ts';
import { msOf, plusMs } from '../../../src/kernel/time.ts';
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
  stopRequested,
  success,
  theBox,
} from './story.ts';

const types = (story: Story, from = 0) => story.log.slice(from).map(({ type }) => type);
const refusal = (code: string) => ({ kind: 'refused', refusal: { code } });

describe('a box that is created', () => {
  test('is configured, on no host, without a disk', () => {
    const story = new Story();
    expect(story.when(command.create)).toMatchObject({
      kind: 'accepted',
      events: [created],
      effects: [],
      cancels: [],
    });
    expect(story.view).toEqual({
      boxId: theBox,
      tenant: 'default',
      name: 'web',
      state: 'configured',
      health: 'none',
      bracket: null,
      options,
      generation: 0,
      placement: null,
      process: null,
      effect: null,
      hasDisk: false,
      exit: null,
      failure: null,
      createdAt: story.now,
      startedAt: null,
      stoppedAt: null,
    });
  });

  test('answers only to its own tenant', () => {
    const story = Story.of(created);
    for (const asked of [command.start, command.stop, command.remove, reportExit(1)])
      expect(story.when(asked, tenantId('other'))).toMatchObject(refusal('NotFound'));
  });

  test('is removed at once, since there is nothing to remove', () => {
    const story = Story.of(created);
    expect(story.when(command.remove)).toMatchObject({ effects: [], cancels: [] });
    expect(types(story)).toEqual(['box.created', 'box.removeRequested', 'box.removed']);
    expect(story.view).toMatchObject({ state: 'removed', hasDisk: false });
  });

  test('stays configured when it is asked to stop, and removes nothing', () => {
    const story = Story.of(created);
    expect(story.when(command.stop)).toEqual({ kind: 'already-so' });
    expect(story.view.state).toBe('configured');
  });
});

describe('a start', () => {
  test('asks for a boot whose id and deadline follow from the event', () => {
    const story = Story.of(created);
    const answer = story.when(command.start);
    const timeoutMs = limits.bootTimeoutMs + limits.effectMarginMs;
    const effectId = effectIdFor(theBox, version(2), 'vm.boot');
    const deadline = plusMs(story.now, timeoutMs);
    expect(answer).toMatchObject({
      events: [{ type: 'box.startRequested', data: { placement, generation: 1, timeoutMs } }],
      cancels: [],
    });
    expect(story.effects).toEqual([
      {
        kind: 'vm.boot',
        effectId,
        tenant: 'default',
        boxId: theBox,
        generation: 1,
        placement,
        notBefore: null,
        deadline,
        args: { name: 'web', options },
      },
    ]);
    expect(story.view).toMatchObject({
      state: 'starting',
      hasDisk: true,
      effect: { effectId, kind: 'vm.boot', deadline },
    });
  });

  test('is done once the boot has succeeded, not before', () => {
    const story = Story.of(...historyOf.starting);
    expect(story.view.startedAt).toBeNull();
    story.settle(success['vm.boot']);
    expect(story.view).toMatchObject({ state: 'running', process, effect: null, startedAt: story.now });
  });

  test('that failed keeps the disk and says why; the next one is a new generation', () => {
    const story = Story.of(...historyOf.starting);
    story.settle(failed('vm.boot'));
    expect(story.view).toMatchObject({ state: 'failed', hasDisk: true, failure, effect: null });
    story.when(command.start);
    expect(story.view).toMatchObject({ state: 'starting', generation: 2, failure: null });
  });

  test('of a box whose disk is on another host is refused, and names that host', () => {
    const elsewhere = { hostId: hostId('hs_fedcba9876543210'), epoch: 1 };
    for (const history of [historyOf.stopped, historyOf.failed]) {
      const answer = Story.of(...history).when({ ...command.start, placement: elsewhere });
      expect(answer).toMatchObject({
        kind: 'refused',
        refusal: { code: 'InvalidState', help: expect.stringContaining(placement.hostId) },
      });
    }
  });

  test('on a later epoch of the same host reuses the disk', () => {
    const story = Story.of(...historyOf.stopped);
    const later = { ...placement, epoch: 5 };
    story.when({ ...command.start, placement: later });
    expect(story.view).toMatchObject({ state: 'starting', placement: later, generation: 2 });
  });
});

describe('a stop', () => {
  test.each([
    ['starting', null, false],
    ['running', process, false],
    ['pausing', process, true],
    ['paused', process, true],
    ['resuming', process, true],
  ] as const)('of a box that is %s asks for a complete shutdown', (state, expected, frozen) => {
    const story = Story.of(...historyOf[state]);
    const before = story.view.effect;
    const answer = story.when(command.stop);
    expect(story.view.state).toBe('stopping');
    expect(story.effects).toMatchObject([{ kind: 'vm.shutdown', args: { process: expected, frozen } }]);
    expect(answer).toMatchObject({ cancels: before === null ? [] : [before.effectId] });
  });

  test('gives the guest the time that the caller chose', () => {
    const story = Story.of(...historyOf.running);
    story.when({ ...command.stop, timeoutMs: 60_000 });
    const { deadline } = story.view.effect ?? {};
    expect(deadline && msOf(deadline) - msOf(story.now)).toBe(
      60_000 + limits.shutdownTermTimeoutMs + limits.effectMarginMs,
    );
  });

  test('records the exit, and how far the box has been stopped', () => {
    const story = Story.of(...historyOf.stopping);
    story.settle(success['vm.shutdown']);
    expect(story.view).toMatchObject({
      state: 'stopped',
      process: null,
      exit: { kind: 'code', code: 0 },
      stoppedAt: story.now,
      effect: null,
    });
  });

  test('that failed is tried again, later each time, at most a minute apart', () => {
    const story = Story.of(...historyOf.stopping);
    const delays: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      story.settle(failed('vm.shutdown'));
      expect(story.view).toMatchObject({ state: 'stopping', failure });
      const effect = story.effects.at(-1);
      expect(story.view.effect?.effectId).toBe(effect?.effectId);
      expect(effect?.effectId).toBe(effectIdFor(theBox, story.version, 'vm.shutdown'));
      const begins = msOf(effect?.notBefore ?? story.now);
      delays.push(begins - msOf(story.now));
      expect(msOf(effect?.deadline ?? story.now) - begins).toBe(
        limits.shutdownGuestTimeoutMs + limits.shutdownTermTimeoutMs + limits.effectMarginMs,
      );
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    expect(story.cancelled).toEqual([]);
    story.settle(success['vm.shutdown']);
    expect(story.view.state).toBe('stopped');
  });

  test('that was tried again knows still whether the box may be frozen', () => {
    const story = Story.of(...historyOf.paused, stopRequested);
    story.settle(failed('vm.shutdown'));
    expect(story.effects).toMatchObject([{ args: { process, frozen: true } }]);
  });
});

describe('pause and resume', () => {
  test('a pause that failed leaves the box running, a resume that failed leaves it paused', () => {
    const pausing = Story.of(...historyOf.pausing);
    pausing.settle(failed('vm.pause'));
    expect(pausing.view).toMatchObject({ state: 'running', failure, process });
    pausing.when(command.stop);
    expect(pausing.effects).toMatchObject([{ kind: 'vm.shutdown', args: { frozen: false } }]);

    const resuming = Story.of(...historyOf.resuming);
    resuming.settle(failed('vm.resume'));
    expect(resuming.view).toMatchObject({ state: 'paused', failure, process });
  });

  test('a whole round leads back to running, with the same process', () => {
    const story = Story.of(...historyOf.running);
    story.when(command.pause);
    story.settle(success['vm.pause']);
    story.when(command.resume);
    story.settle(success['vm.resume']);
    expect(types(story, 3)).toEqual([
      'box.pauseRequested',
      'box.paused',
      'box.resumeRequested',
      'box.resumed',
    ]);
    expect(story.view).toMatchObject({ state: 'running', process });
    expect(story.effects).toMatchObject([
      { kind: 'vm.pause', args: { process } },
      { kind: 'vm.resume', args: { process } },
    ]);
  });

  test('a box that is held quiesced for an operation is not paused besides, but can be stopped', () => {
    const opened: BoxEvent = { type: 'box.bracketOpened', data: { operation: 'snapshot' } };
    const story = Story.of(...historyOf.running, opened);
    expect(story.view.bracket).toBe('snapshot');
    expect(story.when(command.pause)).toMatchObject(refusal('InvalidState'));
    expect(story.when(command.stop).kind).toBe('accepted');
    expect(story.view).toMatchObject({ state: 'stopping', bracket: null });
  });
});

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
