import {
  assertSchemaCompatibility,
  type BackendFactory,
  isPgPool,
  LATEST_SCHEMA_VERSION,
  PostgresConnection,
  type PostgresConnectionOptions,
  PostgresQueueBackend,
  Queue,
  runMigrations,
  SchemaMigrationRequiredError,
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

/** A bulk makes temporary tables, which costs as much as adding this many, and leaves its traces in the catalogs. */
const singlesMax = 16;

/** A delivery loop listens on one connection and works on the others. */
const loopPoolSize = 4;
const producerPoolSize = 4;

/**
 * BullMQ on Postgres: nothing to install. Its connections are its own, so that its transactions never wait for ours, and
 * each delivery loop has a pool to itself. Creates or migrates the schema, unless that is done: who only works the queue may not.
 */
export const postgresCarrier = async (url: string, log: Logger): Promise<QueueCarrier> => {
  const pools = new Set<pg.Pool>();
  const open = (size: number) => {
    const pool = openPool(url, size, log);
    pools.add(pool);
    return pool;
  };
  const end = async (pool: pg.Pool) => {
    if (pools.delete(pool)) await pool.end();
  };
  const producer = open(producerPoolSize);
  try {
    await prepare(producer);
  } catch (error) {
    await end(producer);
    throw unavailable(error);
  }
  return {
    queue: (name, options) => new Queue(name, { ...options, connection: asBullmqPool(producer) }, backend),
    worker: (name, processor, options) => {
      const pool = open(loopPoolSize);
      const worker = new Worker(name, processor, { ...options, connection: asBullmqPool(pool) }, backend);
      worker.on('closed', () => void end(pool));
      return worker;
    },
    singlesMax,
    close: async () => {
      await Promise.all([...pools].map(end));
    },
  };
};

/** Makes BullMQ's schema, for whoever migrates a database in which the service only works. */
export const prepareQueueSchema = async (url: string, log: Logger): Promise<void> => {
  const pool = openPool(url, 1, log);
  try {
    await prepare(pool);
  } catch (error) {
    throw unavailable(error);
  } finally {
    await pool.end();
  }
};

const prepare = async (pool: pg.Pool): Promise<void> => {
  const client = await pool.connect();
  try {
    const version = await assertSchemaCompatibility(client, schema).catch((error: unknown) => {
      if (error instanceof SchemaMigrationRequiredError) return 0;
      throw error;
    });
    if (version < LATEST_SCHEMA_VERSION) await runMigrations(client, schema);
  } finally {
    client.release();
  }
};

const openPool = (url: string, size: number, log: Logger): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    // Without waiting for the disk: what a crash of Postgres takes from the queue, the outbox puts back.
    options: `-c search_path=${schema} -c synchronous_commit=off`,
    application_name: 'boxledger-queue',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
  });
  // `end` does not wait until the connections are closed: one that Postgres ends first is no loss.
  // A connection that is lent out has nobody else to hear that it is lost; what it is used for next fails with it.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', (err) => {
    if (!pool.ending) log.warn({ err }, 'effect queue: lost a connection to Postgres');
  });
  // Each of BullMQ's queues listens for errors of the pool that it shares with the others.
  pool.setMaxListeners(0);
  return pool;
};

const asBullmqPool = (pool: pg.Pool): PostgresConnectionOptions => {
  assert(isPgPool(pool), 'what pg makes is what BullMQ takes for a pool');
  return pool;
};
