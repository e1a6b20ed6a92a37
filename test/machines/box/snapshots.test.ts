import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/kernel/limits.ts';
import {
  bracket,
  command,
  failed,
  failure,
  historyOf,
  numbered,
  Story,
  snapshotted,
  success,
} from './story.ts';

const refusal = (code: string) => ({ kind: 'refused', refusal: { code } });
const names = ({ view }: Story) => view.snapshots.map(({ name }) => name);
const snapshot = (name: string, n: number) => ({ ...command.snapshot, name, snapshotId: numbered(n) });

describe('a snapshot', () => {
  test('stands in the box once it is kept, with what it is worth and the one before it as its parent', () => {
    const story = Story.of(...historyOf.running, ...snapshotted('first', 1));
    story.when(snapshot('second', 2));
    expect(story.view).toMatchObject({
      bracket: 'snapshot',
      operation: { kind: 'snapshot', name: 'second' },
    });
    expect(names(story)).toEqual(['first']);
    story.settle(success['disk.snapshot']);
    const [first, second] = story.view.snapshots;
    expect(first?.parent).toBeNull();
    expect(second).toEqual({
      snapshotId: numbered(2),
      name: 'second',
      parent: numbered(1),
      consistency: bracket.consistency,
      copy: 'reflink',
      sizeBytes: 4096,
      createdAt: story.now,
    });
    expect(story.view).toMatchObject({ state: 'running', standsOn: numbered(2), operation: null });
  });

  test.each([
    ['name', snapshot('first', 2)],
    ['id', snapshot('second', 1)],
  ])('with the %s of another of its box exists already', (_, asked) => {
    const story = Story.of(...historyOf.running, ...snapshotted('first', 1));
    expect(story.when(asked)).toMatchObject(refusal('AlreadyExists'));
  });

  test('more than a box may have is refused', () => {
    const story = Story.of(...historyOf.running);
    for (let n = 0; n < limits.snapshotsMax; n += 1) {
      expect(story.when(snapshot(`${n}`, n)).kind).toBe('accepted');
      story.settle(success['disk.snapshot']);
    }
    expect(names(story)).toHaveLength(limits.snapshotsMax);
    expect(story.when(command.snapshot)).toMatchObject(refusal('ResourceExhausted'));
  });

  test('is removed by name or by id; what came from it comes from its parent then', () => {
    const history = [1, 2, 3].flatMap((n) => snapshotted(`s${n}`, n));
    const story = Story.of(...historyOf.stopped, ...history);
    for (const named of ['s2', numbered(3)]) {
      story.when({ ...command.removeSnapshot, snapshot: named });
      expect(story.effects.at(-1)?.kind).toBe('snapshot.remove');
      story.settle(success['snapshot.remove']);
    }
    expect(names(story)).toEqual(['s1']);
    expect(story.view.standsOn).toBe(numbered(1));

    const middle = Story.of(...historyOf.stopped, ...history);
    middle.when({ ...command.removeSnapshot, snapshot: 's2' });
    middle.settle(success['snapshot.remove']);
    expect(middle.view.snapshots).toMatchObject([{ parent: null }, { name: 's3', parent: numbered(1) }]);
  });

  test('whose removal failed is there still; one that is not there is not found', () => {
    const story = Story.of(...historyOf.running, ...snapshotted('kept', 1));
    story.when(command.removeSnapshot);
    story.settle(failed('snapshot.remove'));
    expect(names(story)).toEqual(['kept']);
    expect(story.view).toMatchObject({ state: 'running', failure });
    for (const asked of [command.removeSnapshot, command.restore])
      expect(story.when({ ...asked, snapshot: 'gone' })).toMatchObject({
        kind: 'refused',
        refusal: { code: 'NotFound', help: 'It has kept.' },
      });
  });

  test('is not removed while a snapshot or the disk stands on it, as links of one chain', () => {
    const chain = [...snapshotted('base', 1, 'chain'), ...snapshotted('top', 2, 'chain')];
    const story = Story.of(...historyOf.stopped, ...chain);
    const removal = (name: string) => ({ ...command.removeSnapshot, snapshot: name });
    expect(story.when(removal('base'))).toMatchObject({
      kind: 'refused',
      refusal: { code: 'InvalidState', details: { standing: ['top'] } },
    });
    expect(story.when(removal('top'))).toMatchObject({
      kind: 'refused',
      refusal: { code: 'InvalidState', details: { standing: ['the disk'] } },
    });
    story.when({ ...command.restore, snapshot: 'base' });
    story.settle(success['disk.restore']);
    expect(story.when(removal('top')).kind).toBe('accepted');
  });

  test.each(['reflink', 'copy'] as const)('made by %s is removed whatever came from it', (copy) => {
    const story = Story.of(...historyOf.stopped, ...snapshotted('base', 1, copy), ...snapshotted('top', 2));
    expect(story.when({ ...command.removeSnapshot, snapshot: 'base' }).kind).toBe('accepted');
  });
});

describe('a restore', () => {
  test.each(['stopped', 'failed'] as const)('of a %s box leaves it stopped, on that snapshot', (state) => {
    const history = [...snapshotted('one', 1), ...snapshotted('two', 2)];
    const story = Story.of(...historyOf[state], ...history);
    story.when({ ...command.restore, snapshot: 'one' });
    expect(story.effects.at(-1)).toMatchObject({ kind: 'disk.restore', args: { snapshotId: numbered(1) } });
    expect(story.view).toMatchObject({ state, operation: { kind: 'restore' } });
    story.settle(success['disk.restore']);
    expect(story.view).toMatchObject({ state: 'stopped', standsOn: numbered(1), operation: null });
    expect(names(story)).toEqual(['one', 'two']);
  });

  test.each(['stopped', 'failed'] as const)('that failed leaves a %s box as it was', (state) => {
    const story = Story.of(...historyOf[state], ...snapshotted('one', 1), ...snapshotted('two', 2));
    story.when({ ...command.restore, snapshot: 'one' });
    story.settle(failed('disk.restore'));
    expect(story.view).toMatchObject({ state, standsOn: numbered(2), failure });
  });

  test('of a box that runs or is paused is refused: stop it first', () => {
    for (const state of ['running', 'paused'] as const)
      expect(Story.of(...historyOf[state], ...snapshotted('kept', 1)).when(command.restore)).toMatchObject({
        refusal: { code: 'InvalidState', help: 'Stop it first.' },
      });
  });
});
