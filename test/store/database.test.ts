import { expect, test } from 'vitest';
import { Database } from '../../src/store/database.ts';

const withWarnings = () => {
  const warnings: string[] = [];
  const silent = () => undefined;
  const warn = (_fields: object, message: string) => void warnings.push(message);
  // Nothing listens there, and nothing is asked of it: a pool connects when it has to.
  const database = new Database('postgres://127.0.0.1:1/none', {
    debug: silent,
    info: silent,
    warn,
    error: silent,
  });
  return { database, warnings };
};

test('the loss of an idle connection is a warning, and none once the pool is closed', async () => {
  const { database, warnings } = withWarnings();
  database.pool.emit('error', new Error('terminating connection'), undefined);
  expect(warnings).toEqual(['an idle database connection was lost']);
  await database.close();
  database.pool.emit('error', new Error('terminating connection'), undefined);
  expect(warnings).toHaveLength(1);
});
