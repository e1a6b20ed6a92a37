import { describe, expect, test } from 'vitest';
import type { BoxCommand } from '../../../src/events/commands.ts';
import type { Exit } from '../../../src/events/process.ts';
import { limits } from '../../../src/kernel/limits.ts';
import { msOf, plusMs } from '../../../src/kernel/time.ts';
import {
  command,
  createdWith,
  failed,
  failure,
  historyOf,
  lost,
  placement,
  process,
  reportExit,
  Story,
  started,
  startRequested,
  success,
} from './story.ts';

const refusal = (code: string) => ({ kind: 'refused', refusal: { code } });
const typesFrom = (story: Story, from: number) => story.log.slice(from).map(({ type }) => type);
const runs = (options: Parameters<typeof createdWith>[0]) =>
  Story.of(createdWith(options), startRequested(), started);

const exits = (story: Story, exit: Exit = { kind: 'code', code: 1 }) =>
  story.when({ ...reportExit(story.view.generation), exit } as BoxCommand); // still a report of an exit

/** The run ends, and the box is up again as soon as it may be. Returns for how long it was put off; null: not restarted. */
const restartDelayMs = (story: Story): number | null => {
  exits(story);
  if (story.view.state !== 'starting') return null;
  const notBefore = story.effects.at(-1)?.notBefore;
  if (notBefore == null) throw new Error('a restart by the policy is put off');
  story.settle(success['vm.boot']);
  return msOf(notBefore) - msOf(story.log.at(-2)?.occurredAt ?? story.now);
};

describe('a restart that is asked for', () => {
  test.each(['running', 'pausing', 'paused', 'resuming'] as const)(
    'stops a box that is %s, and starts it in the append that says that it stopped',
    (state) => {
      const story = Story.of(...historyOf[state]);
      expect(story.when(command.restart)).toMatchObject({
        events: [{ type: 'box.stopRequested', data: { thenStart: true } }],
      });
      expect(story.when(command.restart)).toEqual({ kind: 'already-so' });
      expect(story.settle(success['vm.shutdown'])).toMatchObject({
        events: [{ type: 'box.stopped' }, { type: 'box.startRequested', data: { generation: 2 } }],
        effects: [{ kind: 'vm.boot', notBefore: null }],
      });
      story.settle(success['vm.boot']);
      expect(story.view).toMatchObject({ state: 'running', generation: 2, restarts: 0, pause: null });
    },
  );

  test.each(['configured', 'stopped', 'failed'] as const)('starts a box that is %s', (state) => {
    const story = Story.of(...historyOf[state]);
    expect(story.when(command.restart)).toMatchObject({ events: [{ type: 'box.startRequested' }] });
  });

  test('gives a running box the time that the caller chose', () => {
    const story = Story.of(...historyOf.running);
    story.when({ ...command.restart, timeoutMs: 1_000 });
    expect(story.effects).toMatchObject([{ kind: 'vm.shutdown', args: { guestMs: 1_000 } }]);
  });

  test.each([
    ['stop', command.stop, 'stopped'],
    ['removal by force', command.forceRemove, 'removing'],
  ] as const)('is overruled by a %s that comes while the box goes down', (_, asked, end) => {
    const story = Story.of(...historyOf.running);
    story.when(command.restart);
    expect(story.when(asked)).toMatchObject({ kind: 'accepted', effects: [], cancels: [] });
    story.settle(success['vm.shutdown']);
    expect(story.view.state).toBe(end);
  });

  test('is overruled by a stop also while the host is lost', () => {
    const story = Story.of(...historyOf.running);
    story.when(command.restart);
    story.record(lost, story.tick());
    expect(story.when(command.stop).kind).toBe('accepted');
    expect(story.when(command.stop)).toEqual({ kind: 'already-so' });
    const data = { placement, process, exit: null, timeoutMs: 72_000 };
    story.record({ type: 'box.found', data }, story.tick());
    story.settle(success['vm.shutdown']);
    expect(story.view.state).toBe('stopped');
  });

  test('of a box that is to be removed after its run starts it all the same', () => {
    const story = runs({ autoRemove: true });
    story.when(command.restart);
    story.settle(success['vm.shutdown']);
    expect(story.view).toMatchObject({ state: 'starting', generation: 2 });
  });
});

describe('the restart policy', () => {
  const signal: Exit = { kind: 'signal', signal: 'SIGKILL' };
  const code = (it: number): Exit => ({ kind: 'code', code: it });

  test.each([
    ['no', [code(0), code(1), signal, { kind: 'unknown' }], []],
    ['on-failure', [code(1), signal, { kind: 'unknown' }], [code(0)]],
    ['always', [code(0), code(1), signal, { kind: 'unknown' }], []],
  ] as const)('%s', (policy, some, others) => {
    const endOf = (exit: Exit) => {
      const story = runs({ restart: { policy } });
      exits(story, exit);
      return story.view;
    };
    const restarted = { state: 'starting', generation: 2, restarts: 1 };
    for (const exit of some)
      expect(endOf(exit)).toMatchObject(policy === 'no' ? { state: 'stopped' } : restarted);
    for (const exit of others) expect(endOf(exit)).toMatchObject({ state: 'stopped', generation: 1 });
  });

  test('puts restarts in a row off for 1 s, doubling to 60 s', () => {
    const story = runs({ restart: { policy: 'always' } });
    const delays = Array.from({ length: 9 }, () => restartDelayMs(story));
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('gives the boot its whole time after the delay', () => {
    const story = runs({ restart: { policy: 'always' } });
    exits(story);
    const { notBefore, deadline } = story.effects.at(-1) ?? {};
    const work = limits.bootTimeoutMs + limits.effectMarginMs;
    expect(deadline).toBe(plusMs(notBefore ?? story.now, work));
  });

  test('begins anew once the box has been up for five minutes, and not before', () => {
    const delayAfterUp = (ms: number) => {
      const story = runs({ restart: { policy: 'always' } });
      for (let n = 0; n < 3; n += 1) restartDelayMs(story);
      story.tick(ms - 1000); // the report itself takes the clock on by a second
      return restartDelayMs(story);
    };
    expect(delayAfterUp(5 * 60_000 - 1000)).toBe(8000);
    expect(delayAfterUp(5 * 60_000)).toBe(1000);
  });

  test('leaves the box stopped after as many restarts in a row as it may have', () => {
    const story = runs({ restart: { policy: 'on-failure', maxRetries: 2 } });
    expect([1, 2, 3].map(() => restartDelayMs(story))).toEqual([1000, 2000, null]);
    expect(story.view).toMatchObject({ state: 'stopped', generation: 3, exit: { kind: 'code', code: 1 } });
    story.when(command.start);
    expect(story.view).toMatchObject({ state: 'starting', restarts: 0 });
  });

  test('counts a restart that failed, and repeats it', () => {
    const story = runs({ restart: { policy: 'always', maxRetries: 2 } });
    exits(story);
    expect(story.settle(failed('vm.boot'))).toMatchObject({
      events: [
        { type: 'box.startFailed' },
        { type: 'box.startRequested', data: { generation: 3, restart: { attempt: 2, delayMs: 2000 } } },
      ],
    });
    expect(story.settle(failed('vm.boot'))).toMatchObject({ events: [{ type: 'box.startFailed' }] });
    expect(story.view).toMatchObject({ state: 'failed', failure, effect: null });
  });

  test('does not repeat a start that somebody asked for', () => {
    const story = Story.of(createdWith({ restart: { policy: 'always' } }), startRequested());
    story.settle(failed('vm.boot'));
    expect(story.view).toMatchObject({ state: 'failed', generation: 1 });
  });

  test('leaves a box down that was stopped, also while its restart is put off', () => {
    const story = runs({ restart: { policy: 'always' } });
    exits(story);
    const { effectId } = story.view.effect ?? {};
    expect(story.when(command.stop)).toMatchObject({ cancels: [effectId] });
    story.settle(success['vm.shutdown']);
    expect(story.view).toMatchObject({ state: 'stopped', effect: null });
  });

  test('does not hear of the end of a box that is being stopped', () => {
    const story = runs({ restart: { policy: 'always' } });
    story.when(command.stop);
    expect(exits(story)).toMatchObject(refusal('Conflict'));
    story.settle(success['vm.shutdown']);
    expect(story.view.state).toBe('stopped');
  });
});

describe('a box that is removed by itself', () => {
  const removal = ['box.removeRequested'];

  test('is so after its run, whoever ended it, in the append that says that it ended', () => {
    const exited = runs({ autoRemove: true });
    expect(exits(exited)).toMatchObject({
      events: [{ type: 'box.exited' }, { type: 'box.removeRequested', data: { force: false } }],
      effects: [{ kind: 'disk.remove' }],
    });
    const stopped = runs({ autoRemove: true });
    stopped.when(command.stop);
    const from = stopped.log.length;
    stopped.settle(success['vm.shutdown']);
    expect(typesFrom(stopped, from)).toEqual(['box.stopped', ...removal]);
    stopped.settle(success['disk.remove']);
    expect(stopped.view.state).toBe('removed');
  });

  test('stays while its policy starts it again, and goes when that gives up', () => {
    const story = runs({ autoRemove: true, restart: { policy: 'always', maxRetries: 1 } });
    expect(restartDelayMs(story)).toBe(1000);
    const from = story.log.length;
    exits(story);
    expect(typesFrom(story, from)).toEqual(['box.exited', ...removal]);
  });

  test('stays when it has never run: it was not started, or the start failed', () => {
    const configured = Story.of(createdWith({ autoRemove: true }));
    expect(configured.when(command.stop)).toEqual({ kind: 'already-so' });
    configured.when(command.start);
    configured.settle(failed('vm.boot'));
    expect(configured.view).toMatchObject({ state: 'failed', hasDisk: true });
  });
});
