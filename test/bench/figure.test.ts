import { expect, test } from 'vitest';
import { type Figure, isMet, median } from '../../bench/figure.ts';
import { table } from '../../bench/report.ts';

const figure = (rounds: readonly number[], target?: Figure['target']): Figure => ({
  benchmark: 'append',
  subject: 'command to Emmett',
  callers: 64,
  unit: '×',
  rounds,
  target,
});

test('a figure is the median of its rounds, whatever their order', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 100])).toBe(3.5);
  expect(median([])).toBeNaN();
});

test.each([
  ['at least', [6], { atLeast: 6 }, true],
  ['at least', [5, 5, 9], { atLeast: 6 }, false],
  ['at most', [6], { atMost: 6 }, true],
  ['at most', [1, 7, 7], { atMost: 6 }, false],
  ['at most, of nothing', [], { atMost: 6 }, false],
  ['none', [6], undefined, undefined],
] as const)('a target of %s: %j by %j', (_, rounds, target, met) => {
  expect(isMet(figure(rounds, target))).toBe(met);
});

test('the table says of each figure what was asked for and whether it came about', () => {
  const [, , missed, free] = table([figure([5, 4, 1_234], { atLeast: 6 }), figure([17_002])]).split('\n');
  expect(missed?.split(/ {2,}/)).toEqual([
    'append',
    'command to Emmett',
    '64',
    '5.00 ×',
    '4.00 – 1 234',
    '≥ 6 ×',
    'NO',
  ]);
  expect(free?.split(/ {2,}/)).toEqual(['append', 'command to Emmett', '64', '17 002 ×']);
});
