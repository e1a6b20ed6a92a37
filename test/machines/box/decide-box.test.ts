import { describe, expect, test } from 'vitest';
import { effectIdFor, hostId, tenantId, version } from '../../../src/kernel/ids.ts';
import { limits } from '../../../src/kernel/limits.ts';
import { msOf, plusMs } from '../../../src/kernel/time.ts';
import {
  command,
  created,
  failed,
  failure,
  historyOf,
  options,
  placement,
  process,
  reportExit,
  Story,
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
      operation: null,
      bracket: null,
      options,
      generation: 0,
      placement: null,
      process: null,
      effect: null,
      hasDisk: false,
      origin: null,
      snapshots: [],
      standsOn: null,
      pause: null,
      restarts: 0,
      exit: null,
      failure: null,
      createdAt: story.now,
      startedAt: null,
      resumedAt: null,
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

  test('file systems that could not be frozen are no failure of the box', () => {
    const story = Story.of(...historyOf.pausing);
    story.settle({
      kind: 'vm.pause',
      outcome: { status: 'succeeded', result: { consistency: 'crash', freezeFailure: failure } },
    });
    expect(story.view).toMatchObject({ state: 'paused', failure: null });
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
    const story = Story.of(...historyOf.running);
    story.when(command.snapshot);
    expect(story.view.operation).toMatchObject({ kind: 'snapshot' });
    expect(story.view.bracket).toBe('snapshot');
    expect(story.when(command.pause)).toMatchObject(refusal('InvalidState'));
    expect(story.when(command.stop).kind).toBe('accepted');
    expect(story.view).toMatchObject({ state: 'stopping', operation: null });
  });
});
