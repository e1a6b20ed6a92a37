import {
  type BackendFactory,
  isPgPool,
  PostgresConnection,
  type PostgresConnectionOptions,
  PostgresQueueBackend,
  Queue,
  runMigrations,
  Worker,
} from 'bullmq';
import pg from 'pg';
import type { Logger } from 'pino';
import { assert } from '../kernel/assert.ts';
import { type QueueCarrier, unavailable } from './bullmq-queue.ts';

/** BullMQ's tables live in a schema of their own, out of the way of the log and of anybody else's BullMQ. */
const schema = 'boxledger_queue';

/** Given a pool instead of a URL (which needs `require`), BullMQ would look for its tables in its default schema. */
class SchemaConnection extends PostgresConnection {
  override readonly schema: string = schema;
}

const backend: BackendFactory<PostgresQueueBackend, PostgresConnectionOptions> = (
  name,
  options,
  { withBlockingConnection } = {},
) =>
  new PostgresQueueBackend(
    new SchemaConnection(options.connection),
    name,
    options,
    true,
    withBlockingConnection === true ? name : undefined,
  );

/**
 * BullMQ on Postgres: nothing to install. Its connections are its own, so that its transactions never wait for ours.
 * Creates or migrates the schema. A consumer keeps one of the `poolSize` connections for itself.
 */
export const postgresCarrier = async (url: string, log: Logger, poolSize = 8): Promise<QueueCarrier> => {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    options: `-c search_path=${schema}`,
    application_name: 'boxledger-queue',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
  });
  pool.on('error', (err) => log.warn({ err }, 'effect queue: lost a connection to Postgres'));
  assert(isPgPool(pool), "pg's pool is what BullMQ takes for one");
  const connection: PostgresConnectionOptions = pool;
  // Each queue and worker listens for errors of the one pool.
  pool.setMaxListeners(0);
  try {
    const client = await pool.connect();
    try {
      await runMigrations(client, schema);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw unavailable(error);
  }
  return {
    queue: (name, options) => new Queue(name, { ...options, connection }, backend),
    worker: (name, processor, options) => new Worker(name, processor, { ...options, connection }, backend),
    close: () => pool.end(),
  };
};
