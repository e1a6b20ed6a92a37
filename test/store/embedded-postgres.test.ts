import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { chown, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type EmbeddedPostgres, openEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { pidIn } from '../../src/store/postmaster.ts';
import { openStore } from '../../src/store/store.ts';
import { appendRequest, boxAppend } from '../support/append-request.ts';
import { type Child, runSupport } from '../support/child.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';

const linux = process.platform === 'linux';
const root = process.getuid?.() === 0;

let dataDir: string;
let children: Child[];
let servers: EmbeddedPostgres[];
beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'boxledger-pg-')));
  children = [];
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await Promise.all(children.map((child) => child.kill('SIGKILL')));
  await eventually('no Postgres is left', () => postgresOn(dataDir).length === 0);
  await rm(dataDir, { recursive: true, maxRetries: 20, retryDelay: 50 });
});

const open = async (directory = dataDir) => {
  const server = await openEmbeddedPostgres(directory, silentLog);
  servers.push(server);
  return server;
};

const hold = async (directory = dataDir, options: Parameters<typeof runSupport>[2] = {}) => {
  const child = runSupport('embedded-postgres-holder.ts', [directory], options);
  children.push(child);
  return { child, url: await child.line() };
};

/** Pids of processes whose working directory is below `directory`. */
const postgresOn = (directory: string): readonly number[] =>
  (linux ? readdirSync('/proc') : [])
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
      } catch {
        return false; // ended meanwhile
      }
    });

const ask = async (url: string, sql: string) => {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
};

test('a second start finds the data and the password of the first', async () => {
  const first = await openEmbeddedPostgres(dataDir, silentLog);
  await ask(first.url, 'CREATE TABLE kept AS SELECT 7 AS seven');
  await first.close();
  expect(postgresOn(dataDir)).toEqual([]);
  const second = await open();
  expect(second.url).toBe(first.url);
  expect(await ask(second.url, 'TABLE kept')).toEqual([{ seven: 7 }]);
  expect(statSync(join(dataDir, 'postgres', 'password')).mode & 0o777).toBe(0o600);
  expect(await ask(second.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
});

test.runIf(linux)(
  'when its server is killed it ends by itself, and the next start finds the data',
  async () => {
    const { child, url } = await hold();
    await ask(url, 'CREATE TABLE kept AS SELECT 7 AS seven');
    expect(postgresOn(dataDir).length).toBeGreaterThan(0);
    await child.kill('SIGKILL');
    await eventually('Postgres has ended', () => postgresOn(dataDir).length === 0);
    expect(await ask((await open()).url, 'TABLE kept')).toEqual([{ seven: 7 }]);
  },
);

test.runIf(linux)('one that outlived its server is stopped, and started anew', async () => {
  const { child, url } = await hold();
  await ask(url, 'CREATE TABLE kept AS SELECT 7 AS seven');
  const postmaster = await pidIn(join(dataDir, 'postgres', 'data', 'postmaster.pid'));
  // Without the shells that would have stopped it: all that work in its directory but not in its cluster.
  const cluster = postgresOn(join(dataDir, 'postgres', 'data'));
  process.kill(child.process.pid ?? 0, 'SIGSTOP');
  for (const pid of postgresOn(dataDir)) if (!cluster.includes(pid)) process.kill(pid, 'SIGKILL');
  await child.kill('SIGKILL');
  expect(postgresOn(dataDir)).toContain(postmaster);
  expect(await ask((await open()).url, 'TABLE kept')).toEqual([{ seven: 7 }]);
  expect(postgresOn(dataDir)).not.toContain(postmaster);
});

test('a lock file whose pid belongs to another program now is no hindrance', async () => {
  await (await openEmbeddedPostgres(dataDir, silentLog)).close();
  const lock = `${process.pid}\n${join(dataDir, 'postgres', 'data')}\n1\n5432\n`;
  await writeFile(join(dataDir, 'postgres', 'data', 'postmaster.pid'), lock);
  await writeFile(join(dataDir, 'postgres', '.s.PGSQL.5432.lock'), lock);
  expect(await ask((await open()).url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a cluster that was being made when its server was killed is made afresh', async () => {
  const child = runSupport('embedded-postgres-holder.ts', [dataDir]);
  children.push(child);
  const home = join(dataDir, 'postgres');
  await eventually(
    'initdb is at work',
    () => existsSync(home) && readdirSync(home).some((name) => name.startsWith('data.new-')),
  );
  await child.kill('SIGKILL');
  const server = await open();
  expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await eventually(
    'nothing half-made is left',
    () => !readdirSync(home).some((name) => name.startsWith('data.new-')),
  );
});

test('where the path is too long for a socket it listens on a port of the loopback address', async () => {
  const deep = join(dataDir, 'd'.repeat(120));
  const server = await open(deep);
  expect(new URL(server.url).hostname).toBe('127.0.0.1');
  expect(await ask(server.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
});

test('two data directories are two servers', async () => {
  const one = await open(join(dataDir, 'one'));
  const two = await open(join(dataDir, 'two'));
  await ask(one.url, 'CREATE TABLE mine ()');
  expect(await ask(two.url, "SELECT to_regclass('mine') AS mine")).toEqual([{ mine: null }]);
});

test.runIf(linux)(
  'while Postgres is away the store is unavailable, and it recovers with the same address',
  async () => {
    const server = await open();
    const store = await openStore({ databaseUrl: server.url, log: silentLog });
    await store.migrate();
    const request = appendRequest([boxAppend()]);
    await store.events.append(request);
    const postmaster = await pidIn(join(dataDir, 'postgres', 'data', 'postmaster.pid'));
    process.kill(postmaster ?? 0, 'SIGKILL');
    const failures: unknown[] = [];
    await eventually('the store answers again', async () => {
      try {
        return (
          (await store.events.append(appendRequest([boxAppend()]))).kind === 'appended' && failures.length > 0
        );
      } catch (error) {
        failures.push(error);
        return false;
      }
    });
    for (const failure of failures) expect(failure).toMatchObject({ code: 'Unavailable', retry: true });
    expect(await store.events.append(request)).toMatchObject({ kind: 'answered-before' });
    await store.close();
  },
);

test('a closed server is unavailable to a store until it is opened again', async () => {
  const first = await openEmbeddedPostgres(dataDir, silentLog);
  const store = await openStore({ databaseUrl: first.url, log: silentLog });
  await store.migrate();
  await first.close();
  await expect(store.events.append(appendRequest([boxAppend()]))).rejects.toMatchObject({
    code: 'Unavailable',
  });
  await expect(store.log.end()).rejects.toMatchObject({ code: 'Unavailable' });
  await open();
  expect((await store.events.append(appendRequest([boxAppend()]))).kind).toBe('appended');
  await store.close();
});

/** Why a plain user cannot run the tests' files from here; empty when he can. */
const nobodyRuns = () => {
  if (!linux || !root) return 'not root on Linux';
  try {
    const program = fileURLToPath(new URL('../support/embedded-postgres-holder.ts', import.meta.url));
    execFileSync(
      'setpriv',
      [...asNobody, process.execPath, '-e', `require('fs').readFileSync('${program}')`],
      { stdio: 'ignore' },
    );
    return '';
  } catch {
    return 'nobody can neither run node nor read this directory';
  }
};
const asNobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];

test.skipIf(nobodyRuns() !== '')('a plain user runs it under his own name', async () => {
  const own = join(dataDir, 'own');
  await mkdir(own, { mode: 0o700 });
  await chown(own, 65_534, 65_534);
  execFileSync('chmod', ['711', dataDir]);
  const { child, url } = await hold(own, {
    wrapper: ['setpriv', ...asNobody],
    env: { ...process.env, HOME: own, TMPDIR: own },
  });
  expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(statSync(join(own, 'postgres', 'data')).uid).toBe(65_534);
  await child.kill('SIGKILL');
  await eventually('Postgres has ended', () => postgresOn(own).length === 0);
  const again = await hold(own, {
    wrapper: ['setpriv', ...asNobody],
    env: { ...process.env, HOME: own, TMPDIR: own },
  });
  expect(again.url).toBe(url);
});

test.runIf(linux && root)('root without user namespaces runs it as a user of its own', async () => {
  const bin = join(dataDir, 'bin');
  await mkdir(bin);
  for (const program of ['sh', 'sleep', 'useradd', 'chown']) {
    const path = execFileSync('which', [program], { encoding: 'utf8' }).trim();
    execFileSync('ln', ['-s', path, join(bin, program)]);
  }
  const own = join(dataDir, 'own');
  await mkdir(own, { mode: 0o700 });
  execFileSync('chmod', ['711', dataDir]);
  const { child, url } = await hold(own, { env: { ...process.env, PATH: bin } });
  expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  const { uid } = statSync(join(own, 'postgres', 'data'));
  expect(uid).not.toBe(0);
  await child.kill('SIGKILL');
  // Where namespaces are allowed the next time, it stays with the user that it belongs to.
  expect(await ask((await open(own)).url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(statSync(join(own, 'postgres', 'data')).uid).toBe(uid);
});
