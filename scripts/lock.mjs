// A lock between processes of one machine: a file that its holder made and keeps fresh. The lock of a holder that died,
// or that has not touched it for `staleMs`, is taken over.
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const staleMs = 30_000;
const freshenMs = 2_000;
const pollMs = 100;

/** Runs `work` while no other process runs its own under the same `path`. */
export const withLock = async (path, work) => {
  const token = await acquire(path);
  const freshen = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }, freshenMs);
  try {
    return await work();
  } finally {
    clearInterval(freshen);
    if ((await contentOf(path)) === token) await rm(path, { force: true });
  }
};

const acquire = async (path) => {
  const token = `${process.pid} ${randomUUID()}`;
  let waiting = false;
  for (;;) {
    if (await create(path, token)) return token;
    const holder = await contentOf(path);
    if (holder === undefined) continue;
    if (await isStale(path, holder)) await clearAway(path, holder);
    else {
      if (!waiting) process.stderr.write(`Waiting for another set-up (process ${holder.split(' ')[0]}) …\n`);
      waiting = true;
      await sleep(pollMs);
    }
  }
};

const create = async (path, token) => {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(token);
    await file.close();
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
};

const contentOf = async (path) => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
};

const isStale = async (path, holder) => {
  const pid = Number(holder.split(' ')[0]);
  if (pid > 0 && !isAlive(pid)) return true;
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > staleMs;
};

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/** Two may find the same lock stale: who moved aside a newer lock than the stale one puts it back. */
const clearAway = async (path, holder) => {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if ((await contentOf(aside)) === holder) await rm(aside, { force: true });
  else await rename(aside, path);
};
