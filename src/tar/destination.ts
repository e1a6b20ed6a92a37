import { lstat, realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { fromErrno } from '../kernel/from-errno.ts';
import { refusedEntry } from './entry-paths.ts';

/** Where an entry of an archive goes. */
export interface Place {
  /** Below the destination's root; none for the root itself. */
  readonly parts: readonly string[];
  /** How many directories lie between it and what a link may lead to. */
  readonly depth: number;
}

export interface Destination {
  /** An absolute path without links: nothing is written but below it. */
  readonly root: string;
  /** Called for the entries in their order, with the parts of their paths in the archive. */
  locate(parts: readonly string[], isDirectory: boolean): Place;
}

/** The archive is unpacked in the directory `path` (absolute), which need not be there. */
export const within = async (path: string): Promise<Destination> => ({
  // It may be reached through links: its name is the caller's, not the archive's.
  root: await realDirectory(path),
  locate: (parts) => ({ parts, depth: Math.max(0, parts.length - 1) }),
});

/**
 * The archive's one root goes where `cp -r` would put it: into `path` (absolute) when that is a directory, else to `path`
 * itself, under its name, and the directory above has to be there. A root called `.` is the content of a directory: it
 * goes into `path` or becomes it. `asDirectory`: `path` may not become a file.
 */
export const asCopied = async (path: string, asDirectory: boolean): Promise<Destination> => {
  const isInto = (await isDirectoryAt(path)) === true;
  const root = isInto ? await real(path) : await parentOf(path);
  const ownName = isInto ? [] : [posix.basename(path)];
  const oneRoot = rootChecker();
  return {
    root,
    locate: (parts, isDirectory) => {
      const name = oneRoot(parts);
      const inside = name === '' ? parts : parts.slice(1);
      const top = isInto && name !== '' ? [name] : ownName;
      if (asDirectory && !isInto && inside.length === 0 && !isDirectory)
        throw new BoxledgerError('NotFound', `${path} is no directory, and a file cannot be put into it`, {
          help: 'Make the directory first, or name the file without a slash at the end.',
        });
      return { parts: [...top, ...inside], depth: Math.max(0, inside.length - 1) };
    },
  };
};

/** Returns the name of the archive's root, `''` for `.`; throws when an entry is not below it. */
const rootChecker = () => {
  let root: string | undefined;
  return (parts: readonly string[]): string => {
    root ??= parts[0] ?? '';
    if (root !== '' && parts[0] !== root)
      throw refusedEntry(parts.join('/') || '.', `it is not below ${JSON.stringify(root)}, the first entry`);
    return root;
  };
};

/** Undefined when nothing is there. */
const isDirectoryAt = async (path: string): Promise<boolean | undefined> => {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromErrno(error, `${path} cannot be looked at`);
  }
};

const parentOf = async (path: string): Promise<string> => {
  const parent = posix.dirname(path);
  if ((await isDirectoryAt(parent)) !== true)
    throw new BoxledgerError('NotFound', `${parent} is no directory`, { help: 'Make it first.' });
  return real(parent);
};

const real = async (path: string): Promise<string> => {
  try {
    return await realpath(path);
  } catch (error) {
    throw fromErrno(error, `${path} cannot be entered`);
  }
};

const realDirectory = async (path: string): Promise<string> => {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || (await isLink(path)))
      throw fromErrno(error, `${path} cannot be entered`);
    return posix.join(await realDirectory(posix.dirname(path)), posix.basename(path));
  }
};

/** Of a path that leads nowhere: whether that is because it is a link to what is not there. */
const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
