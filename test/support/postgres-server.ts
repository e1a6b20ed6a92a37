import { existsSync, readFileSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { loadEmbeddedPostgres } from './embedded-postgres-library.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Superuser's URL of a server that lives as long as the test run. */
    databaseServerUrl: string;
  }
}

/** One Postgres for the whole run: `BOXLEDGER_TEST_DATABASE_URL`, or an embedded one that forgets everything. */
export const setup = async (project: TestProject) => {
  const given = process.env['BOXLEDGER_TEST_DATABASE_URL'];
  if (given !== undefined) {
    project.provide('databaseServerUrl', given);
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-test-pg-'));
  const forget = onInterruption(() => {
    killServer(directory);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  await chmod(directory, 0o711);
  const port = await freePort();
  const EmbeddedPostgres = await loadEmbeddedPostgres();
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'data'),
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=300', '-c', 'listen_addresses=127.0.0.1'],
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  project.provide('databaseServerUrl', `postgres://postgres:postgres@127.0.0.1:${port}/postgres`);
  return async () => {
    forget();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
};

/** Runs `work`, which must be synchronous, if the process ends before the returned function is called. */
const onInterruption = (work: () => void): (() => void) => {
  const end = (_signal: NodeJS.Signals, number: number) => process.exit(128 + number);
  process.once('exit', work);
  for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.once(signal, end);
  return () => {
    process.off('exit', work);
    for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.off(signal, end);
  };
};

const killServer = (directory: string) => {
  const pidFile = join(directory, 'data', 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const [pid] = readFileSync(pidFile, 'utf8').split('\n');
  process.kill(Number(pid), 'SIGQUIT');
};

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object'
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
