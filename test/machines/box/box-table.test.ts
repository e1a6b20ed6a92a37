import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { boxStates } from '../../../src/events/box-view.ts';
import { admitExec } from '../../../src/machines/box/admit-exec.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import { type Answer, command, historyOf, keptSnapshot, Story, withSnapshots } from './story.ts';

const columns = [
  'start',
  'stop',
  'restart',
  'pause',
  'resume',
  'exec, copy',
  'rename',
  'remove',
  'remove with force',
  'snapshot',
  'clone',
  'export',
  'restore',
  'remove snapshot',
] as const;
type Column = (typeof columns)[number];

/** The tables of the document, as `state: column` to what the cell says. */
const cells = new Map<string, string>();
const cellsOf = (line: string) => {
  const parts = line.split('|').slice(1, -1);
  return parts.map((part) => part.trim());
};
const document = readFileSync(new URL('../../../docs/box-lifecycle.md', import.meta.url), 'utf8');
for (const table of document.split('\n\n').filter((part) => part.startsWith('| state |'))) {
  const [[, ...heads] = [], , ...rows] = table.split('\n').map(cellsOf);
  for (const [state, ...words] of rows)
    for (const [index, head] of heads.entries()) {
      const same = head === 'snapshot, clone, export' ? head.split(', ') : [head];
      for (const column of same) cells.set(`${state}: ${column}`, words[index] ?? '');
    }
}

const commandOf = (column: Exclude<Column, 'exec, copy'>) => {
  if (column === 'remove with force') return command.forceRemove;
  return column === 'remove snapshot' ? command.removeSnapshot : command[column];
};

/** Every box here has a snapshot, if it has a disk. */
const withSnapshot = (state: keyof typeof historyOf): Story =>
  Story.of(...withSnapshots(historyOf[state], keptSnapshot));

/** An answer in the words of the document. */
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
  test('the document has a cell for each state of the statechart and each command, and no other', () => {
    const all = boxStates.flatMap((state) => columns.map((column) => `${state}: ${column}`));
    expect([...cells.keys()].sort()).toEqual(all.sort());
  });

  describe.each(boxStates)('a box that is %s', (state) => {
    test.each(columns.map((column) => [column, cells.get(`${state}: ${column}`)] as const))(
      '%s: %s',
      (column, expected) => {
        const story = withSnapshot(state);
        expect(story.view.state).toBe(state);
        if (column === 'exec, copy') {
          const [auto, manual] = [execCell(story, true), execCell(story, false)];
          expect(auto === manual ? auto : `${auto} / ${manual}`).toBe(expected);
          return;
        }
        const context = { now: story.tick(), version: story.version, tenant: story.view.tenant };
        const answer = boxAggregate.decide(story.state, commandOf(column), context);
        expect(wordsFor(story, answer)).toBe(expected);
      },
    );

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
