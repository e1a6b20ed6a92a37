import { expect, test } from 'vitest';
import { type BoxOptions, boxOptionsSchema } from '../../src/events/box-options.ts';
import { type BoxView, boxStates } from '../../src/events/box-view.ts';
import { nextDue } from '../../src/hosts/box-timers.ts';
import { msOf, plusMs, timestamp } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { someView } from '../support/some-view.ts';

const startedAt = timestamp('2026-11-25T12:00:00.000Z');
const upMs = msOf(startedAt);
const view = (options: Partial<BoxOptions>, change: Partial<BoxView> = {}) =>
  someView({ state: 'running', startedAt, options: boxOptionsSchema.parse(options), ...change });
const pauseUntil = (ms: number | null) => ({
  state: 'paused' as const,
  pause: {
    since: startedAt,
    until: ms === null ? null : plusMs(startedAt, ms),
    consistency: 'crash' as const,
    toDisk: false,
  },
});

test('a box without limits is never due', () => {
  for (const state of boxStates) expect(nextDue(view({}, { state }), upMs)).toBeUndefined();
});

test('a pause that is to last is over so long after it began, and one without an end is not', () => {
  expect(nextDue(view({}, pauseUntil(12_500)), upMs)).toMatchObject({
    what: 'pause-over',
    atMs: upMs + 12_500,
    command: { type: 'box.resume' },
    reason: expect.stringContaining('12.5 s'),
  });
  expect(nextDue(view({}, pauseUntil(null)), upMs)).toBeUndefined();
});

test('a lifetime is counted from the start of the run, and through a pause', () => {
  const due = { what: 'lifetime-over', atMs: upMs + 60_000, command: { type: 'box.stop' } };
  expect(nextDue(view({ maxLifetimeMs: 60_000 }), upMs + 59_000)).toMatchObject(due);
  expect(nextDue(view({ maxLifetimeMs: 60_000 }, pauseUntil(null)), upMs)).toMatchObject(due);
});

test('a box is idle so long after its start or its last use, whichever was later', () => {
  expect(nextDue(view({ idleTimeoutMs: 1_000 }), upMs - 5_000)).toMatchObject({
    what: 'idle',
    atMs: upMs + 1_000,
    command: { type: 'box.stop' },
  });
  expect(nextDue(view({ idleTimeoutMs: 1_000 }), upMs + 300)).toMatchObject({ atMs: upMs + 1_300 });
});

test('a box is not idle while it is in use, is paused or something is done to its disk', () => {
  const options = { idleTimeoutMs: 1_000 };
  const operation = { kind: 'restore', snapshotId: 'sn_0000000000000000' } as BoxView['operation']; // any would do
  expect(nextDue(view(options), 'in-use')?.atMs).toBe(Number.POSITIVE_INFINITY);
  expect(nextDue(view(options, { operation }), upMs)?.atMs).toBe(Number.POSITIVE_INFINITY);
  expect(nextDue(view(options, pauseUntil(null)), upMs)).toBeUndefined();
});

test('what is due first is next', () => {
  const options = { idleTimeoutMs: 1_000, maxLifetimeMs: 2_000 };
  expect(nextDue(view(options), upMs)?.what).toBe('idle');
  expect(nextDue(view(options), upMs + 1_500)?.what).toBe('lifetime-over');
  expect(nextDue(view(options), 'in-use')?.what).toBe('lifetime-over');
  expect(nextDue(view(options, pauseUntil(500)), upMs)?.what).toBe('pause-over');
  expect(nextDue(view(options, pauseUntil(5_000)), upMs)?.what).toBe('lifetime-over');
});

test('nothing is due of a box that is on its way up or down, or at rest', () => {
  const options = { idleTimeoutMs: 1_000, maxLifetimeMs: 1_000 };
  const { pause } = pauseUntil(1);
  for (const state of boxStates)
    if (state !== 'running' && state !== 'paused')
      expect(nextDue(view(options, { state, pause, boxId: randomIds.boxId() }), upMs)).toBeUndefined();
});
