import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ProcessIdentity, processIdentitySchema } from '../events/process.ts';
import { assert } from '../kernel/assert.ts';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { identify, isAlive } from '../os/process-identity.ts';

export interface DataDirLock {
  release(): Promise<void>;
}

/** What a lock file says. `identity` is undefined when the file is damaged. */
interface Holder {
  readonly token: string;
  readonly identity: ProcessIdentity | undefined;
}

/**
 * Takes a data directory for this process; throws `InvalidState` naming the process that has it. The lock of a process
 * that no longer runs is taken over.
 *
 * A lock file appears whole, by link(2), and names its holder and a token of its own. Who wants to take over from token
 * T first takes the lock `server.lock.T` in the same way: so there is at most one heir of T, and should the heir die, an
 * heir of the heir. The heir looks whether the lock is still T's and moves its own file over it. T's holder is dead and
 * every other claimant is kept out, so nothing can change between the look and the move. Whoever takes `server.lock.T`
 * later than that sees a lock that is not T's any more, and begins again.
 */
export const lockDataDir = async (dataDir: string): Promise<DataDirLock> => {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'server.lock');
  const identity = await identify(process.pid);
  assert(identity !== undefined, 'this process runs');
  const token = randomUUID();
  const draft = `${path}.draft-${token}`;
  await writeFile(draft, `${JSON.stringify({ ...identity, token })}\n`, { mode: 0o600 });
  let holder: Holder | undefined;
  try {
    holder = await take(path, path, draft);
  } finally {
    await rm(draft, { force: true });
  }
  if (holder !== undefined) throw inUse(dataDir, holder);
  return {
    release: async () => {
      if ((await holderOf(path))?.token === token) await rm(path, { force: true });
    },
  };
};

/** Makes `draft` the file at `path`; returns the holder instead when that one lives. `lock` is where the chain begins. */
const take = async (path: string, lock: string, draft: string): Promise<Holder | undefined> => {
  for (;;) {
    if (await linked(draft, path)) return undefined;
    const holder = await holderOf(path);
    if (holder === undefined) continue;
    if (holder.identity !== undefined && (await isAlive(holder.identity))) return holder;
    const heir = `${lock}.${holder.token}`;
    const rival = await take(heir, lock, draft);
    const vacant = (await holderOf(path))?.token === holder.token;
    if (rival !== undefined && vacant) return rival;
    if (rival !== undefined) continue;
    if (!vacant) {
      await rm(heir);
      continue;
    }
    await rename(heir, path);
    return undefined;
  }
};

const linked = async (draft: string, path: string): Promise<boolean> => {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
};

/** Undefined when there is no file. A file that a crash of the machine has damaged is known by its inode. */
const holderOf = async (path: string): Promise<Holder | undefined> => {
  try {
    const { ino } = await stat(path);
    return parseHolder(await readFile(path, 'utf8')) ?? { token: `damaged-${ino}`, identity: undefined };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
};

const parseHolder = (text: string): Holder | undefined => {
  try {
    const { token, ...identity } = JSON.parse(text);
    return typeof token === 'string'
      ? { token, identity: processIdentitySchema.safeParse(identity).data }
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
};

const inUse = (dataDir: string, { identity }: Holder) =>
  new BoxledgerError('InvalidState', `${dataDir} is in use by process ${identity?.pid}`, {
    help: 'Stop that server first, or use another --data-dir.',
    details: { pid: identity?.pid ?? null },
  });
