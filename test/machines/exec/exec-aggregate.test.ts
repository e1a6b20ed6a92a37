import { describe, expect, test } from 'vitest';
import type { ExecCommand } from '../../../src/events/commands.ts';
import type { ExecEvent } from '../../../src/events/exec-events.ts';
import { BrokenInvariant } from '../../../src/kernel/assert.ts';
import { boxId, defaultTenant, execId, tenantId, version } from '../../../src/kernel/ids.ts';
import { timestamp } from '../../../src/kernel/time.ts';
import { execAggregate } from '../../../src/machines/exec/exec-aggregate.ts';
import type { ExecState } from '../../../src/machines/exec/exec-machine.ts';
import { recordedFor } from '../recorded.ts';

const theExec = execId('ex_0123456789abcdef');
const theBox = boxId('bx_0123456789abcdef');
const failure = { code: 'NotFound', message: 'no such program' } as const;
const exit = { kind: 'code', code: 3 } as const;
const sizes = { timedOut: false, durationMs: 12, stdoutBytes: 5, stderrBytes: 0 };

const request: ExecCommand = {
  type: 'exec.request',
  execId: theExec,
  boxId: theBox,
  generation: 1,
  spec: { command: 'ls', args: ['-l'], env: { SECRET: 'not for the log' } },
  recorded: { program: { kind: 'full', command: 'ls', args: ['-l'] }, env: { kind: 'none' } },
};
const reportStarted: ExecCommand = { type: 'exec.reportStarted', execId: theExec, pid: 12 };
const reportExited: ExecCommand = { type: 'exec.reportExited', execId: theExec, pid: 12, exit, ...sizes };
const reportFailed: ExecCommand = { type: 'exec.reportFailed', execId: theExec, failure };
const reportLost: ExecCommand = { type: 'exec.reportLost', execId: theExec, failure };

const requested: ExecEvent = {
  type: 'exec.requested',
  data: {
    boxId: theBox,
    generation: 1,
    program: { kind: 'full', command: 'ls', args: ['-l'] },
    env: { kind: 'none' },
    workingDir: null,
    user: null,
    tty: false,
    timeoutMs: null,
  },
};
const started: ExecEvent = { type: 'exec.started', data: { pid: 12 } };
const exited: ExecEvent = { type: 'exec.exited', data: { exit, ...sizes } };
const failed: ExecEvent = { type: 'exec.failed', data: { failure } };
const lost: ExecEvent = { type: 'exec.lost', data: { failure } };

const fold = (events: readonly ExecEvent[]) =>
  events.reduce<ExecState | undefined>(
    (state, event, index) => execAggregate.evolve(state, recordedFor(`exec/${theExec}`, event, index + 1)),
    undefined,
  );
const decide = (events: readonly ExecEvent[], command: ExecCommand, tenant = defaultTenant) =>
  execAggregate.decide(fold(events), command, {
    now: timestamp('2026-11-25T12:00:00.000Z'),
    version: version(events.length),
    tenant,
  });

const histories = {
  absent: [],
  requested: [requested],
  running: [requested, started],
  exited: [requested, started, exited],
  failed: [requested, failed],
  lost: [requested, started, lost],
} as const;
const commands = { request, reportStarted, reportExited, reportFailed, reportLost };

const table = `
| state     | request        | reportStarted | reportExited | reportFailed | reportLost |
| absent    | → requested    | NotFound      | NotFound     | NotFound     | NotFound   |
| requested | AlreadyExists  | → running     | → exited     | → failed     | → lost     |
| running   | AlreadyExists  | already so    | → exited     | InvalidState | → lost     |
| exited    | AlreadyExists  | already so    | already so   | InvalidState | already so |
| failed    | AlreadyExists  | InvalidState  | InvalidState | already so   | already so |
| lost      | AlreadyExists  | already so    | InvalidState | InvalidState | already so |
`;
const [header = [], ...rows] = table
  .trim()
  .split('\n')
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

describe('every state of an exec × every command', () => {
  const cases = rows.flatMap(([state, ...cells]) =>
    cells.map((cell, index) => [state, header[index + 1], cell] as const),
  );
  test.each(cases)('%s, %s: %s', (state, name, expected) => {
    const answer = decide(
      histories[state as keyof typeof histories], // the table's words are those of the two records above
      commands[name as keyof typeof commands],
    );
    const words =
      answer.kind === 'accepted'
        ? `→ ${String(answer.state.value)}`
        : answer.kind === 'refused'
          ? answer.refusal.code
          : 'already so';
    expect(words).toBe(expected);
  });
});

test('the request records what is run, without its environment', () => {
  expect(decide([], request)).toMatchObject({
    kind: 'accepted',
    events: [requested],
    effects: [],
    cancels: [],
  });
  expect(JSON.stringify(decide([], request))).not.toContain('SECRET');
});

test('a program whose end is reported before its start has both, in one append', () => {
  expect(decide(histories.requested, reportExited)).toMatchObject({ events: [started, exited] });
  expect(decide(histories.running, reportExited)).toMatchObject({ events: [exited] });
});

test('an exec that has started with another pid is not the same exec', () => {
  const other: ExecCommand = { ...reportStarted, pid: 13 };
  expect(decide(histories.running, other)).toMatchObject({
    kind: 'refused',
    refusal: { code: 'InvalidState' },
  });
});

test('an exec of another tenant is not found', () => {
  expect(decide(histories.running, reportExited, tenantId('other'))).toMatchObject({
    kind: 'refused',
    refusal: { code: 'NotFound' },
  });
});

test('a history that the statechart cannot take is refused by the fold', () => {
  expect(() => fold([requested, exited])).toThrow(BrokenInvariant);
  expect(() => fold([started])).toThrow(BrokenInvariant);
});

test.each(Object.entries(histories).slice(1))('an exec that is %s survives being persisted', (_, history) => {
  const state = fold(history);
  const persisted = state && execAggregate.persist(state);
  const restored = execAggregate.restore(JSON.parse(JSON.stringify(persisted)));
  expect(execAggregate.persist(restored)).toEqual(persisted);
  expect([...restored.tags]).toEqual([...(state?.tags ?? [])]);
  expect(execAggregate.view(restored)).toBeNull();
});
