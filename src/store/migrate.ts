import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';
import { z } from 'zod';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { advisoryLocks } from './advisory-locks.ts';
import { inTransaction, withConnection } from './database.ts';
import { keepLogPatiently } from './keep-log.ts';

interface Migration {
  readonly number: number;
  /** File name without its ending: `0001-log`. */
  readonly name: string;
  readonly sql: string;
}

const directory = new URL('./migrations/', import.meta.url);
const filePattern = /^(\d{4})-[a-z0-9-]+\.sql$/;
/** PostgreSQL 15.0, as `server_version_num` counts. */
const serverVersionMin = 150_000;

const serverRow = z.object({ number: z.coerce.number(), text: z.string() });
const appliedRow = z.object({ number: z.int(), name: z.string() });

/**
 * Brings the schema `boxledger` up to this program, begins an epoch of the log when the database has moved, and returns the
 * names of the migrations that were applied: none when it already was. Each is a transaction of its own; processes that
 * migrate at once take turns. Throws `InvalidState` when the schema is newer than this program, or others read the log for so
 * long that its epoch cannot begin; `Unsupported` when the server is too old, `PermissionDenied` when the role may not.
 */
export const migrate = (databaseUrl: string): Promise<readonly string[]> =>
  withConnection(databaseUrl, async (client) => {
    await checkServer(client);
    await client.query('SELECT pg_advisory_lock($1)', [advisoryLocks.migrating]);
    const known = readMigrations();
    const done = await readApplied(client);
    refuseNewer(known, done);
    const missing = known.filter(({ number }) => !done.some((migration) => migration.number === number));
    if (missing.length > 0) await refusePowerless(client);
    for (const migration of missing) await apply(client, migration);
    await keepLogPatiently(client, limits.partitionEvents);
    return missing.map(({ name }) => name);
  });

const checkServer = async (client: pg.Client) => {
  const { rows } = await client.query(
    `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS text`,
  );
  const server = serverRow.parse(rows[0]);
  if (server.number < serverVersionMin)
    throw new BoxledgerError('Unsupported', `PostgreSQL ${server.text} is too old`, {
      help: 'Use PostgreSQL 15 or newer.',
    });
};

const readMigrations = (): readonly Migration[] =>
  readdirSync(directory)
    .sort()
    .flatMap((file) => {
      const number = filePattern.exec(file)?.[1];
      if (number === undefined) return [];
      const sql = readFileSync(new URL(file, directory), 'utf8');
      return [{ number: Number(number), name: file.slice(0, -'.sql'.length), sql }];
    });

/** The service's role, which may not make anything, finds what its owner made. */
const readApplied = async (client: pg.Client) => {
  const { rowCount } = await client.query("SELECT WHERE to_regclass('boxledger.migrations') IS NOT NULL");
  if (rowCount === 0)
    await client.query(`
    CREATE SCHEMA IF NOT EXISTS boxledger;
    CREATE TABLE IF NOT EXISTS boxledger.migrations (
      number integer PRIMARY KEY,
      name text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`);
  const { rows } = await client.query('SELECT number, name FROM boxledger.migrations ORDER BY number');
  return z.array(appliedRow).parse(rows);
};

const refuseNewer = (known: readonly Migration[], done: readonly { number: number; name: string }[]) => {
  const newest = done.at(-1);
  if (newest === undefined || newest.number <= (known.at(-1)?.number ?? 0)) return;
  throw new BoxledgerError(
    'InvalidState',
    `the database was migrated by a newer boxledger (${newest.name} is unknown here)`,
    { help: 'Run the newer boxledger; a database is never migrated back.', details: { newest: newest.name } },
  );
};

/** The service's role only works with what its owner made. */
const refusePowerless = async (client: pg.Client) => {
  const { rowCount } = await client.query("SELECT WHERE has_schema_privilege('boxledger', 'CREATE')");
  if (rowCount === 1) return;
  throw new BoxledgerError('PermissionDenied', 'the database is behind, and its role may not migrate it', {
    help: 'Run boxledger migrate as the owner of the schema, or as a superuser.',
  });
};

const apply = (client: pg.Client, { number, name, sql }: Migration) =>
  inTransaction(client, async () => {
    await client.query(sql);
    await client.query('INSERT INTO boxledger.migrations (number, name) VALUES ($1, $2)', [number, name]);
  });
