import { expect, onTestFinished, test } from 'vitest';
import { Database } from '../../src/store/database.ts';
import { runSupport } from '../support/child.ts';
import { createDatabase } from '../support/database.ts';
import { sql } from '../support/roles.ts';

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

test('the loss of a connection that is lent out with no query on it ends nothing but that connection', async () => {
  const { url, drop } = await createDatabase();
  onTestFinished(drop);
  const holder = runSupport('lent-connection.ts', [url]);
  onTestFinished(() => holder.kill('SIGKILL'));
  const pid = Number(await holder.line());
  expect(await sql(url, `SELECT pg_terminate_backend(${pid}) AS ended`)).toEqual([{ ended: true }]);
  expect(await holder.line()).toBe('lost, and 7');
});
