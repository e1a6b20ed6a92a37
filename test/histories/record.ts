import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { finalOf, type History, historySchema } from './history.ts';

/**
 * Writes a stream of a live log down as a history that every later version has to fold alike:
 *
 *   npx tsx test/histories/record.ts --database-url URL --stream box/bx_… --name box-paused --about "a box is paused"
 *
 * It reads the rows themselves, so that old events are kept in the form that they were written in. An existing file is not
 * written over.
 */
export const readHistory = async (
  client: pg.ClientBase,
  streamId: string,
  about: string,
): Promise<History> => {
  const { rows } = await client.query(
    `SELECT version::integer, type, schema_version AS "schemaVersion", data, tenant,
       json_build_object('kind', actor_kind, 'id', actor_id) AS actor, reason, command_id AS "commandId",
       correlation_id AS "correlationId", causation_id AS "causationId", traceparent,
       to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "occurredAt", encode(hash, 'hex') AS hash
     FROM boxledger.events WHERE stream_id = $1 ORDER BY version`,
    [streamId],
  );
  return historySchema.parse({ about, streamId, events: rows, final: finalOf({ streamId, events: rows }) });
};

export const writeHistory = async (name: string, history: History): Promise<void> => {
  const file = fileURLToPath(new URL(`./${name}.json`, import.meta.url));
  if (existsSync(file)) throw new Error(`${file} is there already, and the past is not written over`);
  await writeFile(file, `${JSON.stringify(history, undefined, 1)}\n`);
};

const main = async (): Promise<void> => {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { 'database-url': text, stream: text, name: text, about: text } });
  const { 'database-url': connectionString, stream, name, about } = values;
  if (!connectionString || !stream || !name || !about)
    throw new Error('--database-url, --stream, --name and --about are all needed');
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await writeHistory(name, await readHistory(client, stream, about));
  } finally {
    await client.end();
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
