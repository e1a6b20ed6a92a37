import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { sql } from './roles.ts';

const run = promisify(execFile);

/** Where Debian keeps the newest PostgreSQL with all of its programs, if any is installed. */
const binaries = ((root) =>
  existsSync(root)
    ? readdirSync(root)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(root, version, 'bin'))
        .find((bin) => existsSync(join(bin, 'initdb')) && existsSync(join(bin, 'pg_dump')))
    : undefined)('/usr/lib/postgresql');

/** Why tests that dump and restore with PostgreSQL's own programs are left out; undefined when they run. */
export const pgDumpMissing =
  binaries === undefined ? 'PostgreSQL is not installed (apt-get install postgresql)' : undefined;

export interface DebianPostgres {
  /** Superuser's. */
  readonly url: string;
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root. */
const account = () => {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
};

/** Ends Postgres when its standard input closes, so that it never outlives a test run, however that ended. */
const tether = '"$@" >/dev/null 2>&1 & read -r _; kill -QUIT $!; wait';

const program = (name: string) => join(binaries ?? '', name);

/** A server of its own, made afresh, that can be reached by a unix socket only. */
export const startDebianPostgres = async (): Promise<DebianPostgres> => {
  const directory = await mkdtemp(join(tmpdir(), 'bl-pg-'));
  const as = account();
  if (as.uid !== undefined) chownSync(directory, as.uid, as.gid);
  chmodSync(directory, 0o755);
  const data = join(directory, 'data');
  const options = { ...as, cwd: directory };
  await run(program('initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync'], options);
  const flags = ['-D', data, '-k', directory, '-c', 'listen_addresses=', '-c', 'fsync=off'];
  const server = spawn('sh', ['-c', tether, 'sh', program('postgres'), ...flags], {
    ...options,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(server, 'exit');
  const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(directory)}`;
  const stop = async () => {
    server.stdin.end();
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await eventually('Postgres answers', () =>
      sql(url, 'SELECT').then(
        () => true,
        () => false,
      ),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
};

/** Dumps one database with pg_dump and restores it in another with pg_restore. */
export const dumpAndRestore = async (fromUrl: string, toUrl: string): Promise<void> => {
  const directory = await mkdtemp(join(tmpdir(), 'bl-dump-'));
  try {
    const file = join(directory, 'log.dump');
    await run(program('pg_dump'), ['-Fc', '-f', file, fromUrl]);
    await run(program('pg_restore'), ['--no-owner', '--no-acl', '--exit-on-error', '-d', toUrl, file]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
