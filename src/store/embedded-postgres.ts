import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { BoxledgerError } from '../kernel/errors.ts';
import { writeWhole } from '../os/files.ts';
import { databaseError } from './database-errors.ts';
import { openLauncher, type PostgresLauncher } from './postgres-launcher.ts';
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

/** Where things are. All of it is in `<dataDir>/postgres`. */
interface Cluster {
  readonly home: string;
  /** The cluster proper. There only when initdb has ended well. */
  readonly data: string;
  readonly logFile: string;
  readonly password: string;
  /** On a unix socket in `home`, or where its path would be too long, on a TCP port of the loopback address. */
  readonly address: { readonly kind: 'socket' | 'tcp'; readonly port: number };
}

const user = 'boxledger';
const serviceUser = 'boxledger_service';
const database = 'boxledger';
/** Only part of the socket's file name. */
const socketPort = 5432;
/** `sun_path` holds 104 bytes with the final NUL on macOS, 108 on Linux. */
const socketPathMaxBytes = 103;
const logMaxBytes = 8 * 1024 * 1024;
/** Characters of the log's end that a failure to start carries. */
const shownOfLog = 1024;
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
  const home = await makeHome(dataDir);
  const password = await keepPassword(home);
  const launcher = await openLauncher(home, log);
  const data = join(home, 'data');
  const logFile = join(home, 'postgres.log');
  await rotate(logFile);
  if (!existsSync(data)) await initialise(launcher, { home, data, logFile });
  let cluster: Cluster = { home, data, logFile, password, address: await chooseAddress(home) };
  let running: ChildProcess | undefined;
  for (let tries = 1; running === undefined; tries += 1) {
    try {
      running = await start(launcher, cluster, log);
    } catch (error) {
      // The port was free a moment ago; whatever took it, the next one will do.
      if (cluster.address.kind === 'socket' || tries >= startTriesMax) throw error;
      cluster = { ...cluster, address: await chooseAddress(home) };
    }
  }
  const keeper = keep(launcher, cluster, running, log);
  return {
    url: urlOf(cluster, database),
    serviceUrl: urlOf(cluster, database, serviceUser),
    close: keeper,
  };
};

/** Resolved, because Postgres processes are found by the real path of their working directory. */
const makeHome = async (dataDir: string) => {
  const home = join(dataDir, 'postgres');
  await mkdir(home, { recursive: true, mode: 0o700 });
  return realpath(home);
};

/** The password made at the first start. */
const keepPassword = async (home: string): Promise<string> => {
  const path = join(home, 'password');
  if (!existsSync(path)) await writeWhole(path, randomBytes(24).toString('base64url'));
  return readFile(path, 'utf8');
};

/** Tried again where something is added meanwhile: a killed server's initdb may still be ending. */
const removal = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 };

const endOf = async (logFile: string) => (await readFile(logFile, 'utf8')).slice(-shownOfLog);

const rotate = async (logFile: string) => {
  if (existsSync(logFile) && (await stat(logFile)).size > logMaxBytes) await rename(logFile, `${logFile}.1`);
};

/** Makes the cluster beside its place and moves it there when it is whole, so that a kill leaves nothing half-made. */
const initialise = async (
  launcher: PostgresLauncher,
  { home, data, logFile }: Pick<Cluster, 'home' | 'data' | 'logFile'>,
) => {
  for (const name of await readdir(home))
    if (name.startsWith('data.new-')) await rm(join(home, name), removal);
  const draft = join(home, `data.new-${randomBytes(4).toString('hex')}`);
  const child = await launcher.launch(
    launcher.binaries.initdb,
    [
      `--pgdata=${draft}`,
      `--username=${user}`,
      `--pwfile=${join(home, 'password')}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
    ],
    logFile,
  );
  await ended(child);
  if (child.exitCode !== 0)
    throw new BoxledgerError('Internal', 'the embedded Postgres could not be set up', {
      help: `Read ${logFile}; or give DATABASE_URL.`,
      details: { log: await endOf(logFile) },
    });
  await rename(draft, data);
};

const chooseAddress = async (home: string): Promise<Cluster['address']> =>
  Buffer.byteLength(join(home, `.s.PGSQL.${socketPort}`)) <= socketPathMaxBytes
    ? { kind: 'socket', port: socketPort }
    : { kind: 'tcp', port: await freePort() };

const freePort = async (): Promise<number> => {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string')
    throw new BoxledgerError('Internal', 'a listening socket has no port');
  return address.port;
};

export const urlOf = (
  { home, password, address }: Pick<Cluster, 'home' | 'password' | 'address'>,
  name: string = database,
  role: string = user,
): string =>
  address.kind === 'socket'
    ? `postgres://${role}:${password}@localhost:${address.port}/${name}?host=${encodeURIComponent(home)}`
    : `postgres://${role}:${password}@127.0.0.1:${address.port}/${name}`;

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

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

const ended = async (child: ChildProcess): Promise<void> => {
  if (!hasEnded(child)) await once(child, 'exit');
};

/** Lets go of the leash and waits; a Postgres that does not stop is left to the next start, which ends it. */
const stop = async (child: ChildProcess): Promise<void> => {
  child.stdio[3]?.destroy();
  if (hasEnded(child)) return;
  await Promise.race([ended(child), sleep(stopTimeoutMs, undefined, { ref: false })]);
};
