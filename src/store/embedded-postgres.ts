import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { BoxledgerError } from '../kernel/errors.ts';
import { databaseError } from './database-errors.ts';
import {
  type Cluster,
  chooseAddress,
  database,
  endOf,
  openCluster,
  openHome,
  serviceUser,
  socketPort,
  urlOf,
} from './postgres-cluster.ts';
import { ended, hasEnded, openLauncher, type PostgresLauncher } from './postgres-launcher.ts';
import { removeStaleLocks, stopLeftOver } from './postmaster.ts';
import type { StoreLog } from './store-log.ts';

export interface EmbeddedPostgres {
  /** Stays the same for as long as this is open, also when Postgres has to be started anew. */
  readonly url: string;
  /** The same database for the service's role, once `admitService` has let it in. */
  readonly serviceUrl: string;
  /** Stops Postgres; resolves when all it had to write is written. */
  close(): Promise<void>;
}

/** Recovery after a kill may take long; a Postgres that ends is noticed at once. */
const startTimeoutMs = 300_000;
const stopTimeoutMs = 60_000;
const connectPollMs = 20;
const startTriesMax = 5;
const restartDelayMaxMs = 10_000;

/** Small and durable: a control plane's database, not a warehouse. */
const settings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '64MB',
  max_connections: '200',
  max_wal_senders: '0',
  wal_level: 'minimal',
  max_wal_size: '512MB',
  unix_socket_permissions: '0700',
  logging_collector: 'off',
  log_timezone: 'UTC',
  timezone: 'UTC',
} as const;

/**
 * Starts the Postgres that the npm packages bring, on `<dataDir>/postgres`, and makes the cluster first when there is none.
 * The caller holds the data directory's lock. A Postgres that an earlier server left running there is stopped first; one
 * that ends by itself is started again. When this process dies, in whatever way, its Postgres stops.
 */
export const openEmbeddedPostgres = async (dataDir: string, log: StoreLog): Promise<EmbeddedPostgres> => {
  const home = await openHome(dataDir);
  const launcher = await openLauncher(home.path, log);
  let cluster = await openCluster(home, launcher);
  let running: ChildProcess | undefined;
  for (let tries = 1; running === undefined; tries += 1) {
    try {
      running = await start(launcher, cluster, log);
    } catch (error) {
      // The port was free a moment ago; whatever took it, the next one will do.
      if (cluster.address.kind === 'socket' || tries >= startTriesMax) throw error;
      cluster = { ...cluster, address: await chooseAddress(cluster.home) };
    }
  }
  const keeper = keep(launcher, cluster, running, log);
  return {
    url: urlOf(cluster, database),
    serviceUrl: urlOf(cluster, database, serviceUser),
    close: keeper,
  };
};

/** Resolves with the running child once the database can be used. */
const start = async (launcher: PostgresLauncher, cluster: Cluster, log: StoreLog): Promise<ChildProcess> => {
  const { home, data, logFile, address } = cluster;
  await stopLeftOver(data, log);
  await removeStaleLocks([join(data, 'postmaster.pid'), join(home, `.s.PGSQL.${socketPort}.lock`)]);
  const listen =
    address.kind === 'socket'
      ? ['-c', 'listen_addresses=', '-k', home]
      : ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = await launcher.launch(
    launcher.binaries.postgres,
    ['-D', data, '-p', String(address.port), ...listen, ...options],
    logFile,
  );
  try {
    await usable(child, cluster);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return child;
};

/** Waits until Postgres lets us in, and makes the database at the first start. */
const usable = async (child: ChildProcess, cluster: Cluster): Promise<void> => {
  const until = performance.now() + startTimeoutMs;
  for (;;) {
    if (hasEnded(child))
      throw new BoxledgerError('Unavailable', 'the embedded Postgres ended while it started', {
        help: `Read ${cluster.logFile}.`,
        details: { log: await endOf(cluster.logFile) },
      });
    try {
      return await makeDatabase(cluster);
    } catch (error) {
      const failure = databaseError(error);
      const early = failure instanceof BoxledgerError && failure.retry;
      if (!early || performance.now() > until) throw failure;
    }
    await sleep(connectPollMs);
  }
};

const makeDatabase = async (cluster: Cluster): Promise<void> => {
  const client = new pg.Client({ connectionString: urlOf(cluster, 'postgres') });
  client.on('error', () => undefined); // the query under way fails with it
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT current_setting('data_directory') AS directory,
         EXISTS (SELECT FROM pg_database WHERE datname = $1) AS made`,
      [database],
    );
    if (rows[0].directory !== cluster.data)
      throw new BoxledgerError('Unavailable', `port ${cluster.address.port} belongs to another Postgres`);
    if (!rows[0].made) await client.query(`CREATE DATABASE ${database}`);
  } finally {
    await client.end();
  }
};

/** Starts Postgres again whenever it ends; the returned function ends that. */
const keep = (
  launcher: PostgresLauncher,
  cluster: Cluster,
  first: ChildProcess,
  log: StoreLog,
): (() => Promise<void>) => {
  const closing = new AbortController();
  let child = first;
  const restarted = async (): Promise<ChildProcess | undefined> => {
    for (let delayMs = 100; !closing.signal.aborted; delayMs = Math.min(delayMs * 2, restartDelayMaxMs)) {
      try {
        return await start(launcher, cluster, log);
      } catch (error) {
        log.error({ err: error }, 'Postgres could not be started again; trying on');
      }
      await sleep(delayMs, undefined, { signal: closing.signal }).catch(() => undefined); // closing ends the wait
    }
    return undefined;
  };
  const keeping = (async () => {
    for (let next: ChildProcess | undefined = first; next !== undefined; next = await restarted()) {
      child = next;
      if (closing.signal.aborted) await stop(child);
      await ended(child);
      if (closing.signal.aborted) return;
      log.error({ exitCode: child.exitCode, signal: child.signalCode }, 'Postgres ended; starting it again');
    }
  })();
  return async () => {
    closing.abort();
    await stop(child);
    await keeping;
  };
};

/** Lets go of the leash and waits; a Postgres that does not stop is left to the next start, which ends it. */
const stop = async (child: ChildProcess): Promise<void> => {
  child.stdio[3]?.destroy();
  if (hasEnded(child)) return;
  await Promise.race([ended(child), sleep(stopTimeoutMs, undefined, { ref: false })]);
};
