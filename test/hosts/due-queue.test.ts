import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DueQueue } from '../../src/hosts/due-queue.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';

const beganMs = Date.parse('2026-11-25T12:00:00.000Z');
const dayMs = 86_400_000;
/** How far the wall clock is ahead of the timers. */
let setForwardMs = 0;
let due: string[] = [];
let queue: DueQueue<string>;

beforeEach(() => {
  vi.useFakeTimers({ now: beganMs });
  setForwardMs = 0;
  due = [];
  queue = new DueQueue<string>({
    clock: { now: () => timestampFromMs(Date.now() + setForwardMs) },
    onDue: (key) => due.push(key),
  });
});
afterEach(() => {
  queue.close();
  vi.useRealTimers();
});

test('each key is told once, at its moment and not before', () => {
  queue.set('late', beganMs + 2_000);
  queue.set('early', beganMs + 1_000);
  vi.advanceTimersByTime(999);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(['early']);
  vi.advanceTimersByTime(10_000);
  expect(due).toEqual(['early', 'late']);
});

test('a moment that has passed is told at once', () => {
  queue.set('past', beganMs - 5_000);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(['past']);
});

test('a moment that is set again takes the place of the one before, and a deleted one never comes', () => {
  queue.set('put off', beganMs + 1_000);
  queue.set('put off', beganMs + 3_000);
  queue.set('gone', beganMs + 2_000);
  queue.delete('gone');
  vi.advanceTimersByTime(2_999);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(['put off']);
});

test('a moment beyond what a timer of Node can wait for is waited for', () => {
  queue.set('far', beganMs + 60 * dayMs);
  vi.advanceTimersByTime(60 * dayMs - 1);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(due).toEqual(['far']);
});

test('a clock that is set forward is followed within a minute', () => {
  queue.set('hour', beganMs + 3_600_000);
  setForwardMs = 3_600_000;
  vi.advanceTimersByTime(60_000);
  expect(due).toEqual(['hour']);
});

test('a clock that is set back makes nothing early', () => {
  queue.set('minute', beganMs + 30_000);
  setForwardMs = -3_600_000;
  vi.advanceTimersByTime(30_000);
  expect(due).toEqual([]);
  vi.advanceTimersByTime(3_600_000);
  expect(due).toEqual(['minute']);
});

test('however many keys wait, there is one timer', () => {
  for (let key = 0; key < 1_000; key += 1) queue.set(`${key}`, beganMs + 1_000 + key);
  expect(vi.getTimerCount()).toBe(1);
  queue.close();
  expect(vi.getTimerCount()).toBe(0);
});
