import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { DiskFigures } from '../box-archive/manifest.ts';

/** Names are bytes: a box may give its files any. */
export interface Found {
  /** Below the root, which itself has none. */
  readonly path: Buffer;
  /** To open it by. */
  readonly fullPath: Buffer;
  readonly stats: BigIntStats;
  /** Of a file with several names: the path at which it came first, unless this is it. */
  readonly first: Buffer | undefined;
}

const slash = Buffer.from('/');

/** The tree, depth first, names in ascending order of their bytes. Follows no link. */
export async function* walkDisk(root: string): AsyncGenerator<Found> {
  yield* walk(Buffer.alloc(0), Buffer.from(root), new Map());
}

async function* walk(path: Buffer, fullPath: Buffer, linked: Map<string, Buffer>): AsyncGenerator<Found> {
  const stats = await lstat(fullPath, { bigint: true });
  const identity = `${stats.dev}:${stats.ino}`;
  const first = stats.isDirectory() || stats.nlink < 2n ? undefined : linked.get(identity);
  if (!stats.isDirectory() && stats.nlink > 1n && first === undefined) linked.set(identity, path);
  yield { path, fullPath, stats, first };
  if (!stats.isDirectory()) return;
  for (const name of (await readdir(fullPath, { encoding: 'buffer' })).sort(Buffer.compare))
    yield* walk(
      path.length === 0 ? name : Buffer.concat([path, slash, name]),
      Buffer.concat([fullPath, slash, name]),
      linked,
    );
}

/** What is on the disk. Its entries do not count what an archive cannot carry. */
export const measureDisk = async (root: string, signal: AbortSignal): Promise<DiskFigures> => {
  let [entries, bytes, sockets, devices] = [0, 0, 0, 0];
  for await (const { stats, first } of walkDisk(root)) {
    signal.throwIfAborted();
    if (stats.isSocket()) sockets += 1;
    else if (isDevice(stats)) devices += 1;
    else entries += 1;
    if (stats.isFile() && first === undefined) bytes += Number(stats.size);
  }
  return { entries, bytes, skipped: { sockets, devices } };
};

export const isDevice = (stats: BigIntStats): boolean => stats.isBlockDevice() || stats.isCharacterDevice();

/** An archive's names are text. */
export const textOf = (bytes: Buffer): string => {
  if (isUtf8(bytes)) return bytes.toString();
  throw new BoxledgerError('Unsupported', `${JSON.stringify(bytes.toString())} is not named in UTF-8`, {
    help: 'Rename it in the box, and take another snapshot: an archive carries names in UTF-8 only.',
  });
};
