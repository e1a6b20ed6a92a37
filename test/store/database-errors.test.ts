import { expect, test } from 'vitest';
import { BrokenInvariant } from '../../src/kernel/assert.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { databaseError, isRolledBack } from '../../src/store/database-errors.ts';

const withCode = (code: string) => Object.assign(new Error('whatever it says'), { code });

test.each([
  '57P01',
  '57P03',
  '08006',
  '53300',
  '53100',
  '57014',
  '40001',
  '40P01',
  'ECONNREFUSED',
  'ENOENT',
  'EPIPE',
])('%s means that the database is unavailable, and that calling again may help', (code) => {
  const cause = withCode(code);
  expect(databaseError(cause)).toMatchObject({
    code: 'Unavailable',
    retry: true,
    details: { databaseCode: code },
    cause,
  });
});

test.each(['28P01', '3D000', '42P01', '42501', '22P05', 'XX000', 'EACCES'])('%s is internal', (code) => {
  expect(databaseError(withCode(code))).toMatchObject({ code: 'Internal', retry: false });
});

test('an error of pg without a code is a lost connection', () => {
  expect(databaseError(new Error('Connection terminated unexpectedly'))).toMatchObject({
    code: 'Unavailable',
  });
});

test('a fault in the program is not taken for the database being away', () => {
  expect(databaseError(new TypeError('x is not a function'))).toMatchObject({ code: 'Internal' });
  expect(databaseError('a string')).toMatchObject({ code: 'Internal' });
});

test('errors of our own pass through', () => {
  for (const error of [new BoxledgerError('NotFound', 'gone'), new BrokenInvariant('broken')])
    expect(databaseError(error)).toBe(error);
});

test('only what was certainly rolled back is tried again', () => {
  expect(['40001', '40P01', '57P01', '08006', '23505'].map((code) => isRolledBack(withCode(code)))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
