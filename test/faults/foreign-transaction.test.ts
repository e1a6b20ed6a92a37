import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/sdk/client.ts';
import { typesOf } from '../support/box-stories.ts';
import { createDatabase } from '../support/database.ts';
import { createDataDir, startServer } from '../support/server.ts';

/**
 * Readers of the whole log wait for every transaction on the server that is older than what they would read, in whatever
 * database. A call that waits for its own box must not: it would last as long as anybody's longest transaction.
 */
test("a transaction that is left open in another database of the server holds up nobody's box", async () => {
  const [database, other, dataDir] = await Promise.all([createDatabase(), createDatabase(), createDataDir()]);
  const server = await startServer({ dataDir: dataDir.path, databaseUrl: database.url });
  const client = connect({ address: server.address });
  const foreign = new pg.Client({ connectionString: other.url });
  onTestFinished(async () => {
    client.close();
    await foreign.end();
    await server.stop();
    await dataDir.remove();
    await Promise.all([database.drop(), other.drop()]);
  });
  await foreign.connect();
  await foreign.query('BEGIN');
  await foreign.query('SELECT pg_current_xact_id()');

  const limit = { timeoutMs: 30_000 };
  const { boxId } = (await client.create({ name: 'unmoved', ...limit })).box;
  await client.start(boxId, limit);
  await client.pause(boxId, limit);
  await client.resume(boxId, limit);
  await client.stop(boxId, limit);
  await client.remove(boxId, limit);
  expect((await typesOf(client, boxId)).at(-1)).toBe('box.removed');
  await foreign.query('ROLLBACK');
});
