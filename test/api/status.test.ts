import { type ServiceError, status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { toStatus } from '../../src/api/status.ts';
import { BoxledgerError, errorCodes } from '../../src/kernel/errors.ts';
import { wireError } from '../../src/sdk/wire-error.ts';
import { statusOfCode } from '../../src/wire/status-codes.ts';
import { richDetails } from './api-under-test.ts';

const silent = pino({ level: 'silent' });
const asSeen = (thrown: unknown) => {
  const sent = toStatus(thrown, silent);
  return { sent, seen: richDetails(sent as ServiceError) }; // the trailers are all that it looks at
};

test.each(errorCodes)('%s comes back with its code, message, help, details and faults', (code) => {
  const error = new BoxledgerError(code, 'Box web is paused.', {
    help: 'Resume it.',
    details: { boxId: 'bx_1', version: 7, differing: ['cpus'] },
    faults: [{ field: 'options.env.A=B', problem: 'must not contain "="' }],
  });
  const { sent, seen } = asSeen(error);
  expect(sent).toMatchObject({ code: statusOfCode[code], details: 'Box web is paused.' });
  expect(seen).toMatchObject({
    code: statusOfCode[code],
    message: 'Box web is paused.',
    info: {
      reason: code,
      domain: 'boxledger',
      metadata: { help: 'Resume it.', boxId: '"bx_1"', version: '7', differing: '["cpus"]' },
    },
    violations: [{ field: 'options.env.A=B', description: 'must not contain "="' }],
  });
  expect(seen.retry?.retryDelay?.seconds).toBe(error.retry ? 1 : undefined);
});

test.each(errorCodes)('the SDK makes of %s the error that the server threw', (code) => {
  const error = new BoxledgerError(code, 'Box “web” is paused: 100 %.', {
    help: 'Resume it.',
    details: { boxId: 'bx_1', nested: { list: [1, null, 'two'] } },
    faults: [{ field: 'name', problem: 'is long' }],
  });
  const { message, help, details, faults, retry } = wireError(
    toStatus(error, silent) as ServiceError,
    'here',
  ); // as it arrives
  expect({ message, help, details, faults, retry }).toEqual({
    message: error.message,
    help: error.help,
    details: error.details,
    faults: error.faults,
    retry: error.retry,
  });
});

test('what is not an error of ours tells the caller nothing but where to look', () => {
  const { sent, seen } = asSeen(new TypeError('password is hunter2'));
  expect(sent.code).toBe(status.INTERNAL);
  expect(JSON.stringify([sent.details, seen])).not.toContain('hunter2');
  expect(sent.details).toContain(JSON.parse(seen.info?.metadata['errorId'] ?? ''));
});

test('an error larger than trailers may be keeps the end of the console and all that is short', () => {
  const console = `${'noise\n'.repeat(4000)}panic: no init found`;
  const { sent, seen } = asSeen(
    new BoxledgerError('Unavailable', 'm'.repeat(100_000), {
      details: { console, boxId: 'bx_1' },
      faults: Array.from({ length: 5000 }, (_, index) => ({ field: `env.K${index}`, problem: 'is bad' })),
    }),
  );
  const [bytes] = sent.metadata.get('grpc-status-details-bin');
  expect(bytes?.length).toBeLessThan(6 * 1024);
  expect(seen.info?.metadata['boxId']).toBe('"bx_1"');
  expect(seen.info?.metadata['console']).toMatch(/panic: no init found"$/);
});
