import pg from 'pg';
import { expect, test } from 'vitest';
import { createDatabase } from './database.ts';

test('a test gets a database of its own', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  await database.drop();
});
