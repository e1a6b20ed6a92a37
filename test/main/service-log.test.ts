import pg from 'pg';
import { expect, test } from 'vitest';
import { serviceLog } from '../../src/main/service-log.ts';

const logged = (error: Error): Record<string, unknown> => {
  const lines: string[] = [];
  serviceLog('info', { write: (text) => void lines.push(text) }).warn({ err: error }, 'lost');
  return JSON.parse(lines.join('')).err;
};

test('an error that pg-pool hung a client onto is logged without the client', () => {
  const error = Object.assign(new Error('terminating connection'), {
    code: '57P01',
    client: new pg.Client(),
  });
  expect(logged(error)).toMatchObject({ type: 'Error', message: 'terminating connection', code: '57P01' });
  expect(logged(error)).not.toHaveProperty('client');
});
