import { describe, expect, test } from 'vitest';
import type { Observation } from '../../src/drivers/driver.ts';
import { type BoxStateName, type BoxView, boxStates } from '../../src/events/box-view.ts';
import { remedyFor } from '../../src/hosts/reconcile.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { someView } from '../support/some-view.ts';

const host = randomIds.hostId();
const process = { pid: 7, startTime: '1', bootId: 'b' };
const placement = { hostId: host, epoch: 1 };
const view = (state: BoxStateName, change: Partial<BoxView> = {}) =>
  someView({ state, generation: 2, placement, process, ...change });

const runs = { kind: 'running', generation: 2, process, frozen: false } as const;
const frozen = { ...runs, frozen: true } as const;
const ranBefore = { ...runs, generation: 1 } as const;
const ended = { kind: 'ended', generation: 2, exit: { kind: 'code', code: 3 } } as const;
const endedBefore = { ...ended, generation: 1 } as const;
const absent = { kind: 'absent' } as const;

const watch = { kind: 'watch' };
const none = { kind: 'none' };
const end = { kind: 'end', alsoDisk: false };
const endAndClear = { kind: 'end', alsoDisk: true };
const exit = { kind: 'report-exit', exit: ended.exit };
const exitUnseen = { kind: 'report-exit', exit: { kind: 'unknown' } };

type Row = Record<'runs' | 'frozen' | 'ranBefore' | 'ended' | 'endedBefore' | 'absent', unknown>;
const findings: Record<keyof Row, Observation> = { runs, frozen, ranBefore, ended, endedBefore, absent };
const gone = { ranBefore: exitUnseen, ended: exit, endedBefore: exitUnseen, absent: exitUnseen };
const atRest: Row = {
  runs: end,
  frozen: end,
  ranBefore: end,
  ended: none,
  endedBefore: none,
  absent: none,
};
const leftToItsEffect: Row = {
  runs: none,
  frozen: none,
  ranBefore: none,
  ended: none,
  endedBefore: none,
  absent: none,
};

const table: Record<BoxStateName, Row> = {
  configured: atRest,
  starting: leftToItsEffect,
  running: { runs: watch, frozen: { kind: 'unfreeze' }, ...gone },
  pausing: { runs: watch, frozen: watch, ...gone },
  paused: { runs: { kind: 'freeze' }, frozen: watch, ...gone },
  resuming: { runs: watch, frozen: watch, ...gone },
  stopping: leftToItsEffect,
  stopped: atRest,
  failed: atRest,
  lost: leftToItsEffect,
  removing: leftToItsEffect,
  removed: {
    runs: endAndClear,
    frozen: endAndClear,
    ranBefore: endAndClear,
    ended: endAndClear,
    endedBefore: endAndClear,
    absent: endAndClear,
  },
};

describe.each(boxStates)('a box that the log says is %s', (state) => {
  test.each(Object.keys(findings) as (keyof Row)[])('and is found: %s', (found) => {
    expect(remedyFor(view(state), findings[found], host)).toEqual(table[state][found]);
  });
});

test('a box that is found frozen while something is done to its disk is left to the effect that does it', () => {
  const operation: BoxView['operation'] = { kind: 'clone', clones: [] };
  expect(remedyFor(view('running', { operation, bracket: 'clone' }), frozen, host)).toEqual(watch);
  expect(remedyFor(view('paused', { operation }), frozen, host)).toEqual(watch);
  expect(remedyFor(view('running', { operation, bracket: 'clone' }), ended, host)).toEqual(exit);
});

test('a box that the log has never heard of is ended, and its disk left alone', () => {
  expect(remedyFor(undefined, runs, host)).toEqual(end);
  expect(remedyFor(undefined, ended, host)).toEqual(none);
});

test('a box that is placed on another host is ended here, and its disk left alone', () => {
  const elsewhere = view('running', { placement: { hostId: randomIds.hostId(), epoch: 1 } });
  expect(remedyFor(elsewhere, runs, host)).toEqual(end);
  expect(remedyFor(elsewhere, ended, host)).toEqual(none);
});
