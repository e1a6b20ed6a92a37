import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { errorCodes } from '../../src/kernel/errors.ts';
import { codeOfStatus, statusOfCode } from '../../src/wire/status-codes.ts';

test('every code of ours has a status of its own, and none is OK', () => {
  const statuses = errorCodes.map((code) => statusOfCode[code]);
  expect(new Set(statuses).size).toBe(errorCodes.length);
  expect(statuses).not.toContain(status.OK);
});

test.each(errorCodes)('%s comes back from its status', (code) => {
  expect(codeOfStatus(statusOfCode[code])).toBe(code);
});

test('a status that gRPC does not have is a fault of whoever sent it', () => {
  const unheardOf: number = 99;
  expect(codeOfStatus(unheardOf)).toBe('Internal');
});
