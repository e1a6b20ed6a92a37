import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withConnection } from '../src/store/database.ts';
import { openEmbeddedPostgres } from '../src/store/embedded-postgres.ts';
import type { StoreLog } from '../src/store/store-log.ts';

/** An empty database that is gone after `close`. Durable as in service: commits wait for the disk. */
export interface BenchDatabase {
  readonly url: string;
  readonly serverVersion: string;
  close(): Promise<void>;
}

/** On the server that `DATABASE_URL` names, else on an embedded one in a temporary directory. */
export const openBenchDatabase = async (log: StoreLog): Promise<BenchDatabase> => {
  const given = process.env['DATABASE_URL'];
  if (given !== undefined && given !== '') return createOn(given, async () => undefined);
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-bench-'));
  await chmod(directory, 0o711); // as root, Postgres runs as somebody else and has to pass
  const server = await openEmbeddedPostgres(directory, log);
  return createOn(server.url, async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
};

const createOn = async (serverUrl: string, closeServer: () => Promise<void>): Promise<BenchDatabase> => {
  const name = `boxledger_bench_${randomBytes(6).toString('hex')}`;
  const serverVersion = await withConnection(serverUrl, async (client) => {
    await client.query(`CREATE DATABASE ${name}`);
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version.split(' ')[0] ?? 'unknown';
  });
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    serverVersion,
    close: async () => {
      await withConnection(serverUrl, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
      await closeServer();
    },
  };
};
