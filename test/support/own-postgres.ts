import { readFileSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { loadEmbeddedPostgres } from './embedded-postgres-library.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

export interface OwnPostgres {
  readonly url: string;
  /** SIGKILL, as when its machine fails. Resolves when it accepts nothing any more. */
  kill(): Promise<void>;
  start(): Promise<void>;
  query(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Lets nothing be appended until the returned function is called or Postgres dies. */
  holdAppends(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** A Postgres of the test's own, which it may kill and start again without disturbing others. */
export const startOwnPostgres = async (): Promise<OwnPostgres> => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-test-pg-'));
  await chmod(directory, 0o711);
  const port = await freePort();
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
  const EmbeddedPostgres = await loadEmbeddedPostgres();
  const make = () =>
    new EmbeddedPostgres({
      databaseDir: join(directory, 'data'),
      user: 'postgres',
      password: 'postgres',
      port,
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=200', '-c', 'listen_addresses=127.0.0.1'],
      onLog: () => undefined,
      onError: () => undefined,
    });
  let pid: number | undefined;
  /** All at one moment: else some would see the end of others, and do something about it. */
  const killNow = () => {
    if (pid === undefined) return;
    process.kill(pid, 'SIGSTOP');
    const all = [...childrenOf(pid), pid];
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const one of all) send(one, signal);
    pid = undefined;
  };
  const atExit = () => {
    killNow();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once('exit', atExit);

  const start = async () => {
    // The processes of the one before may need a moment to see that it is gone.
    await eventually('Postgres starts', () =>
      make()
        .start()
        .then(
          () => true,
          () => false,
        ),
    );
    pid = Number((await readFile(join(directory, 'data/postmaster.pid'), 'utf8')).split('\n')[0]);
  };
  const connected = async () => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined); // a killed server fails the query under way
    await client.connect();
    return client;
  };
  const kill = async () => {
    killNow();
    await eventually('Postgres accepts nothing', () =>
      connected().then(
        (client) => client.end().then(() => false),
        () => true,
      ),
    );
  };
  await make().initialise();
  await start();
  return {
    url,
    kill,
    start,
    query: async (sql, values = []) => {
      const client = await connected();
      try {
        return (await client.query(sql, [...values])).rows;
      } finally {
        await client.end();
      }
    },
    holdAppends: async () => {
      const client = await connected();
      await client.query('BEGIN');
      await client.query('LOCK TABLE boxledger.events IN SHARE MODE');
      return () => client.end().catch(() => undefined); // it may have died with the server
    },
    close: async () => {
      process.off('exit', atExit);
      if (pid !== undefined) await kill();
      await rm(directory, { recursive: true, force: true, maxRetries: 20 });
    },
  };
};

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

const send = (pid: number, signal: NodeJS.Signals) => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};
