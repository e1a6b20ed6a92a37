import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { BoxledgerError } from '../kernel/errors.ts';
import { writeWhole } from '../os/files.ts';
import { ended, type PostgresLauncher } from './postgres-launcher.ts';

/** What the embedded Postgres keeps on disk, and where it can be reached. Its process is `embedded-postgres.ts`'s. */

/** Where things are. All of it is in `<dataDir>/postgres`. */
export interface Cluster {
  readonly home: string;
  /** The cluster proper. There only when initdb has ended well. */
  readonly data: string;
  readonly logFile: string;
  readonly password: string;
  /** On a unix socket in `home`, or where its path would be too long, on a TCP port of the loopback address. */
  readonly address: { readonly kind: 'socket' | 'tcp'; readonly port: number };
}

const user = 'boxledger';
export const serviceUser = 'boxledger_service';
export const database = 'boxledger';
/** Only part of the socket's file name. */
export const socketPort = 5432;
/** `sun_path` holds 104 bytes with the final NUL on macOS, 108 on Linux. */
const socketPathMaxBytes = 103;
const logMaxBytes = 8 * 1024 * 1024;
/** Characters of the log's end that a failure to start carries. */
const shownOfLog = 1024;

/** The directory of it all. */
interface Home {
  /** Resolved, because Postgres processes are found by the real path of their working directory. */
  readonly path: string;
  readonly password: string;
}

/** Before a launcher is opened: what is in the directory by then is handed over with it to whom Postgres runs as. */
export const openHome = async (dataDir: string): Promise<Home> => {
  const home = join(dataDir, 'postgres');
  await mkdir(home, { recursive: true, mode: 0o700 });
  const path = await realpath(home);
  return { path, password: await keepPassword(path) };
};

/** Makes the cluster when there is none yet. */
export const openCluster = async (
  { path: home, password }: Home,
  launcher: PostgresLauncher,
): Promise<Cluster> => {
  const data = join(home, 'data');
  const logFile = join(home, 'postgres.log');
  await rotate(logFile);
  if (!existsSync(data)) await initialise(launcher, { home, data, logFile });
  return { home, data, logFile, password, address: await chooseAddress(home) };
};

/** The password made at the first start. */
const keepPassword = async (home: string): Promise<string> => {
  const path = join(home, 'password');
  if (!existsSync(path)) await writeWhole(path, randomBytes(24).toString('base64url'));
  return readFile(path, 'utf8');
};

const rotate = async (logFile: string) => {
  if (existsSync(logFile) && (await stat(logFile)).size > logMaxBytes) await rename(logFile, `${logFile}.1`);
};

/** Tried again where something is added meanwhile: a killed server's initdb may still be ending. */
const removal = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 };

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

export const endOf = async (logFile: string) => (await readFile(logFile, 'utf8')).slice(-shownOfLog);

export const chooseAddress = async (home: string): Promise<Cluster['address']> =>
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
