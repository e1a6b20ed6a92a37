import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { copyFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { CopyMethod } from '../../events/disk-operations.ts';
import { errnoOf } from '../../kernel/errno.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { readIfThere } from '../../os/files.ts';
import type { DiskWork } from '../disks.ts';
import { removeTree } from './files.ts';

/**
 * Disks are copied by `cp`. Node can share blocks, but reaches neither holes, nor extended attributes, ACLs, FIFOs or
 * nanoseconds, all of which `cp -a` keeps, with owners, modes and links.
 */

const isLinux = process.platform === 'linux';
const withBlocksShared = isLinux ? ['-a', '--reflink=always'] : ['-a', '-c'];
const anyHow = isLinux ? ['-a', '--reflink=auto', '--sparse=auto'] : ['-a'];
const progressEveryMs = 1000;
const stderrMaxBytes = 2048;

export class TreeCopier {
  /** Device → whether files on it can share blocks. Between two they never can. */
  readonly #sharing = new Map<number, boolean>();

  /** Copies a tree to a path at which nothing is, and says how. What it leaves when it fails is for the caller to clear. */
  async copy(from: string, to: string, totalBytes: number | null, work: DiskWork): Promise<CopyMethod> {
    if (await this.#canShare(from, to)) {
      if ((await runCopy(withBlocksShared, from, to, totalBytes, work)) === undefined) return 'reflink';
      // One file that cannot (another file system within, `chattr +C`) is enough.
      await removeTree(to);
    }
    const failure = await runCopy(anyHow, from, to, totalBytes, work);
    if (failure !== undefined) throw await failedCopy(failure, to);
    return 'copy';
  }

  async #canShare(from: string, to: string): Promise<boolean> {
    const [{ dev }, target] = [await stat(from), await stat(dirname(to))];
    if (dev !== target.dev) return false;
    const canShare = this.#sharing.get(dev) ?? (await sharesBlocks(`${to}.probe`));
    this.#sharing.set(dev, canShare);
    return canShare;
  }
}

/** Tries it on a file of our own. */
const sharesBlocks = async (probe: string): Promise<boolean> => {
  try {
    await writeFile(probe, Buffer.alloc(4096, 1));
    await copyFile(probe, `${probe}.shared`, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (unable.includes(errnoOf(error) ?? '')) return false;
    throw error;
  } finally {
    await rm(probe, { force: true });
    await rm(`${probe}.shared`, { force: true });
  }
};

const unable = ['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS'];

/** What it said when it failed; undefined when it did not. */
const runCopy = async (
  args: readonly string[],
  from: string,
  to: string,
  totalBytes: number | null,
  { signal, onProgress }: DiskWork,
): Promise<string | undefined> => {
  signal.throwIfAborted();
  const child = spawn('cp', [...args, '--', from, to], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < stderrMaxBytes) said += chunk.toString();
  });
  const report = setInterval(async () => {
    const bytes = await writtenBy(child.pid);
    if (bytes !== undefined && child.exitCode === null)
      onProgress?.({ bytes: Math.min(bytes, totalBytes ?? bytes), totalBytes });
  }, progressEveryMs);
  try {
    const [status] = await once(child, 'close');
    signal.throwIfAborted();
    if (status !== 0) return said.slice(0, stderrMaxBytes);
    if (totalBytes !== null) onProgress?.({ bytes: totalBytes, totalBytes });
    return undefined;
  } finally {
    clearInterval(report);
    signal.removeEventListener('abort', kill);
  }
};

/** Bytes that the process has written so far; undefined where the system does not count them for us. */
const writtenBy = async (pid: number | undefined): Promise<number | undefined> => {
  const counts = await readIfThere(`/proc/${pid}/io`).catch(() => undefined);
  const written = /^wchar: (\d+)$/m.exec(counts ?? '')?.[1];
  return written === undefined ? undefined : Number(written);
};

/** `cp` says what was wrong in words for people alone; a full file system is looked up. */
const failedCopy = async (said: string, to: string): Promise<BoxledgerError> => {
  const { bavail, bsize, ffree, files } = await statfs(dirname(to));
  const isFull = bavail * bsize < fullBelowBytes || (files > 0 && ffree === 0);
  return new BoxledgerError(isFull ? 'ResourceExhausted' : 'Internal', 'the disk could not be copied', {
    help: isFull ? 'Make room on the file system of the data directory.' : 'Look at what cp said.',
    details: { cp: said },
  });
};

const fullBelowBytes = 1024 * 1024;

/** Writes to the device whatever the file system of `path`, which has to be readable, holds back: one call, however many files there are. */
export const flushFileSystem = async (path: string, signal: AbortSignal): Promise<void> => {
  await promisify(execFile)('sync', isLinux ? ['-f', '--', path] : [], { signal }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
};
