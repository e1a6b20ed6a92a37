import { describe, expect, test } from 'vitest';
import { boxStates } from '../../../src/events/box-view.ts';
import { admitExec } from '../../../src/machines/box/admit-exec.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import { type Answer, command, historyOf, keptSnapshot, Story, withSnapshots } from './story.ts';

/**
 * The table of box-lifecycle.md. An arrow names every state that is gone through; "recorded": an event was appended and the
 * state is the same; "in bracket", "held", "begun": an operation on the disk is asked for, with the processes held for it,
 * while nothing writes, or where that does not matter. The document has no row for `removing`: it is taken as `stopping` is, at
 * rest and on its way out.
 */
const table = `
| state      | start              | stop       | pause      | resume     | exec, copy             | remove               | remove with force    | restart    | rename    | snapshot   | clone      | export     | restore   | remove snapshot |
| ---------- | ------------------ | ---------- | ---------- | ---------- | ---------------------- | -------------------- | -------------------- | ---------- | --------- | ---------- | ---------- | ---------- | --------- | --------------- |
| configured | → starting         | already so | refused    | refused    | starts first / refused | → removing → removed | → removing → removed | → starting | recorded  | refused    | refused    | refused    | refused   | refused         |
| starting   | already so         | → stopping | refused    | refused    | waits                  | refused              | → stopping           | already so | recorded  | refused    | refused    | refused    | refused   | refused         |
| running    | already so         | → stopping | → pausing  | already so | runs                   | refused              | → stopping           | → stopping | recorded  | in bracket | in bracket | in bracket | refused   | begun           |
| pausing    | refused            | → stopping | already so | refused    | refused                | refused              | → stopping           | → stopping | recorded  | refused    | refused    | refused    | refused   | refused         |
| resuming   | refused            | → stopping | refused    | already so | refused                | refused              | → stopping           | → stopping | recorded  | refused    | refused    | refused    | refused   | refused         |
| paused     | refused: resume it | → stopping | already so | → resuming | refused                | refused              | → stopping           | → stopping | recorded  | held       | held       | held       | refused   | begun           |
| stopping   | refused            | already so | refused    | refused    | refused                | refused              | recorded             | refused    | recorded  | refused    | refused    | refused    | refused   | refused         |
| stopped    | → starting         | already so | refused    | refused    | starts first / refused | → removing           | → removing           | → starting | recorded  | held       | held       | held       | begun     | begun           |
| failed     | → starting         | already so | refused    | refused    | refused                | → removing           | → removing           | → starting | recorded  | held       | held       | held       | begun     | begun           |
| lost       | refused            | recorded   | refused    | refused    | refused                | refused              | → removing → removed | refused    | recorded  | refused    | refused    | refused    | refused   | refused         |
| removing   | refused            | already so | refused    | refused    | refused                | already so           | already so           | refused    | refused   | refused    | refused    | refused    | refused   | refused         |
| removed    | not found          | not found  | not found  | not found  | not found              | already so           | already so           | not found  | not found | not found  | not found  | not found  | not found | not found       |
`;

const cells = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const [, ...rows] = table
  .trim()
  .split('\n')
  .filter((line) => !line.startsWith('| ---'))
  .map(cells);
const columns = [
  'start',
  'stop',
  'pause',
  'resume',
  'exec, copy',
  'remove',
  'forceRemove',
  'restart',
  'rename',
  'snapshot',
  'clone',
  'export',
  'restore',
  'removeSnapshot',
] as const;

/** Every box here has a snapshot, if it has a disk. */
const withSnapshot = (state: keyof typeof historyOf): Story =>
  Story.of(...withSnapshots(historyOf[state], keptSnapshot));

/** An answer in the words of the table. */
const wordsFor = (story: Story, answer: Answer): string => {
  switch (answer.kind) {
    case 'already-so':
      return 'already so';
    case 'refused': {
      const { code, help } = answer.refusal;
      // Of a box that never had a disk there is no snapshot to speak of.
      if (code === 'NotFound' && answer.refusal.message.includes('has no snapshot')) return 'refused';
      if (code === 'NotFound') return 'not found';
      expect(code).toBe('InvalidState');
      return help === 'Resume it first.' ? 'refused: resume it' : 'refused';
    }
    case 'accepted': {
      const [asked] = answer.effects;
      if (asked !== undefined && answer.state.context.operation !== null)
        return 'plan' in asked.args ? { quiesce: 'in bracket', held: 'held' }[asked.args.plan.kind] : 'begun';
      const replay = Story.of(...story.log);
      const states = answer.events.map((event) => {
        replay.record(event, story.now);
        return replay.view.state;
      });
      return states.every((state) => state === story.view.state) ? 'recorded' : `→ ${states.join(' → ')}`;
    }
    default:
      return answer satisfies never;
  }
};

const execWords = { run: 'runs', wait: 'waits', 'start-first': 'starts first' } as const;
const execCell = (story: Story, autoStart: boolean): string => {
  if (story.state === undefined) throw new Error('no box');
  const admission = admitExec(story.state, autoStart);
  if (admission.kind !== 'refused') return execWords[admission.kind];
  return admission.refusal.code === 'NotFound' ? 'not found' : 'refused';
};

describe('every state × every command', () => {
  test('the table has a row for each state of the statechart', () => {
    expect(rows.map(([state]) => state).sort()).toEqual([...boxStates].sort());
  });

  describe.each(boxStates)('a box that is %s', (state) => {
    const row = rows.find(([name]) => name === state) ?? [];
    test.each(columns.map((column, index) => [column, row[index + 1]]))('%s: %s', (column, expected) => {
      const story = withSnapshot(state);
      expect(story.view.state).toBe(state);
      if (column === 'exec, copy') {
        const [auto, manual] = [execCell(story, true), execCell(story, false)];
        expect(auto === manual ? auto : `${auto} / ${manual}`).toBe(expected);
        return;
      }
      const context = { now: story.tick(), version: story.version, tenant: story.view.tenant };
      const answer = boxAggregate.decide(
        story.state,
        command[column as keyof typeof command], // the column is one of the commands: the only other was dealt with
        context,
      );
      expect(wordsFor(story, answer)).toBe(expected);
    });

    test('create: it exists already', () => {
      expect(Story.of(...historyOf[state]).when(command.create)).toMatchObject({
        kind: 'refused',
        refusal: { code: 'AlreadyExists' },
      });
    });
  });

  test.each(Object.entries(command).filter(([name]) => name !== 'create'))(
    '%s of a box that does not exist is not found',
    (_, asked) => {
      expect(new Story().when(asked)).toMatchObject({ kind: 'refused', refusal: { code: 'NotFound' } });
    },
  );

  test('every refusal names the state and says what would help', () => {
    for (const state of boxStates) {
      for (const asked of Object.values(command)) {
        const answer = Story.of(...historyOf[state]).when(asked);
        if (answer.kind !== 'refused' || answer.refusal.code !== 'InvalidState') continue;
        expect(answer.refusal.message).toContain(` ${state} `);
        expect(answer.refusal.help).toMatch(/^[A-Z].*\.$/);
        expect(answer.refusal.details).toMatchObject({ state });
      }
    }
  });
});
