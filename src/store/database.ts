import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { databaseError, isRolledBack } from './database-errors.ts';
import type { Statement } from './statement.ts';
import type { StoreLog } from './store-log.ts';

/** Bounds on what the store asks of its database. */
const bounds = {
  connectionsMax: 16,
  connectTimeoutMs: 10_000,
  /** Kept by the server; the client's own, somewhat longer, ends the wait for a server that is silent. */
  statementTimeoutMs: 30_000,
  queryTimeoutMs: 35_000,
  idleInTransactionTimeoutMs: 60_000,
  /** Tries of a statement that the server rolled back because of a race. */
  triesMax: 4,
  retryDelayMaxMs: 20,
} as const;

const identified = (url: string): pg.ClientConfig => ({
  connectionString: url,
  application_name: 'boxledger',
  keepAlive: true,
});

/** How the connections that serve callers are opened. */
export const connectionConfig = (url: string): pg.ClientConfig => ({
  ...identified(url),
  connectionTimeoutMillis: bounds.connectTimeoutMs,
  statement_timeout: bounds.statementTimeoutMs,
  query_timeout: bounds.queryTimeoutMs,
  idle_in_transaction_session_timeout: bounds.idleInTransactionTimeoutMs,
});

/** A pool of connections, with every failure classified. Rows come back unparsed. */
export class Database {
  readonly pool: pg.Pool;
  readonly url: string;

  constructor(url: string, log: StoreLog) {
    this.url = url;
    this.pool = new pg.Pool({ ...connectionConfig(url), max: bounds.connectionsMax });
    // An idle connection that dies is replaced when needed; without a listener it would end the process. One that dies
    // after `end`, which does not wait until its connections are closed, is no loss.
    // A connection that is lent out has nobody else to hear that it is lost; what it is used for next fails with it.
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    this.pool.on('error', (error) => {
      if (!this.pool.ending) log.warn({ err: error }, 'an idle database connection was lost');
    });
  }

  /**
   * Runs one prepared statement in a transaction of its own. One that the server rolled back because of a race is run
   * again, a few times; any other failure is thrown at once, as whether the statement was committed may be unknown.
   */
  async query(statement: Statement, values: readonly unknown[]): Promise<readonly unknown[]> {
    for (let tries = 1; ; tries += 1) {
      try {
        return (await this.pool.query({ name: statement.name, text: statement.text, values: [...values] }))
          .rows;
      } catch (error) {
        if (tries >= bounds.triesMax || !isRolledBack(error)) throw databaseError(error);
        await sleep(Math.random() * bounds.retryDelayMaxMs);
      }
    }
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}

/** Runs `work` on a connection of its own, which no time limit interrupts. */
export const withConnection = async <Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> => {
  const client = new pg.Client({ ...identified(url), connectionTimeoutMillis: bounds.connectTimeoutMs });
  // The loss of the connection fails the query under way; the event says nothing more.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw databaseError(error);
  } finally {
    await client.end();
  }
};

/** Runs `work` between BEGIN and COMMIT; a throw rolls back. */
export const inTransaction = async <Result>(
  client: pg.ClientBase,
  work: () => Promise<Result>,
): Promise<Result> => {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined); // the connection is gone, and the transaction with it
    throw error;
  }
};
