/*
 * The unpacking of one archive as a transaction.
 *
 * 1. Nothing has its own name before `commit`: what goes into a directory that was there before is made beside its place
 *    under a temporary name, a new directory with all that is in it. Moving it needs no copy, whatever is mounted where.
 * 2. Nothing is written through a link: every directory on the way to an entry is one that was made here, or is looked
 *    at without following links, and content only goes to new files.
 * 3. `rollback` removes what was begun. A process killed in between leaves names that begin with `.boxledger-copy-`; where
 *    a journal is kept, the next one finds them by it.
 *
 * Another program that swaps directories for links meanwhile can misdirect an entry, but only to where it could have
 * written itself, or the user who copies lets it write to the destination.
 */
import { randomBytes } from 'node:crypto';
import { chmod, lchown, link, lstat, lutimes, mkdir, rename, rm, symlink, unlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { assert } from '../kernel/assert.ts';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { fromErrno } from '../kernel/from-errno.ts';
import { limits } from '../kernel/limits.ts';
import { CopyJournal } from './copy-journal.ts';
import { refusedEntry } from './entry-paths.ts';
import { writeSparsely } from './sparse-file.ts';

/** What an entry keeps of its origin. */
export interface EntryAttributes {
  /** Permission bits; set-id and sticky bits are dropped. */
  readonly mode: number;
  readonly modifiedAt: Date;
  /** Kept only on request, and where the system allows it: mostly the sender's ids mean nothing to the receiver. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

export interface StagingOptions {
  /** Whether files and links that are there already are replaced. */
  readonly overwrite: boolean;
  /** Of what is made, implied directories included. */
  readonly entriesMax?: number | undefined;
  /** Directory in which it is noted what a killed process would leave. */
  readonly journalIn?: string | undefined;
}

/** A directory that entries go to. */
interface Directory {
  readonly place: string;
  /** Where it is until the commit. */
  readonly path: string;
  /** It was made here, so it holds nothing but what this archive brought. */
  readonly isNew: boolean;
}

export class Staging {
  readonly #root: string;
  readonly #options: StagingOptions;
  readonly #prefix = `.boxledger-copy-${randomBytes(6).toString('hex')}-`;
  readonly #journal: CopyJournal;
  /** Place of what is to be moved in `commit` → where it is until then. */
  readonly #staged = new Map<string, string>();
  /** Place of each directory that was made, parents first. */
  readonly #made = new Map<string, { readonly path: string; attributes: EntryAttributes | undefined }>();
  /** Places of hard links: moving one to another name of the same file moves nothing. */
  readonly #links = new Set<string>();
  #base: Directory | undefined;
  #entries = 0;
  #names = 0;

  /** `root`: an absolute path without links. */
  constructor(root: string, options: StagingOptions) {
    this.#root = root;
    this.#options = options;
    this.#journal = new CopyJournal(options.journalIn, this.#prefix);
  }

  /** Makes the destination with its parents where they are missing. */
  async begin(): Promise<void> {
    this.#base = await this.#ancestor(this.#root);
  }

  async addDirectory(parts: readonly string[], attributes: EntryAttributes): Promise<void> {
    this.#countEntry();
    const made = this.#made.get((await this.#directory(parts)).place);
    if (made !== undefined) made.attributes = attributes;
  }

  async addFile(
    parts: readonly string[],
    attributes: EntryAttributes,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await this.#create(parts, (path) => writeSparsely(path, content), attributes);
  }

  async addSymlink(parts: readonly string[], attributes: EntryAttributes, target: string): Promise<void> {
    await this.#create(parts, (path) => symlink(target, path), { ...attributes, mode: undefined });
  }

  /** A hard link to a file of the archive, or of the destination. */
  async addLink(parts: readonly string[], targetParts: readonly string[]): Promise<void> {
    const target = await this.#file(targetParts);
    this.#links.add(posix.join(this.#root, ...parts));
    await this.#create(parts, (path) => link(target, path), undefined);
  }

  /** Checks all, then moves all. Returns the number of entries. */
  async commit(): Promise<number> {
    for (const place of this.#staged.keys()) await this.#checkFree(place);
    for (const { path, attributes } of [...this.#made.values()].reverse())
      if (attributes !== undefined) await doing(path, () => keep(path, attributes));
    for (const [place, path] of this.#staged) {
      await doing(place, () => rename(path, place));
      if (this.#links.has(place)) await removed(unlink(path));
      this.#staged.delete(place);
    }
    await this.#journal.end();
    return this.#entries;
  }

  async rollback(): Promise<void> {
    const isLeft = this.#staged.size > 0;
    // One that may not be written to could not be emptied.
    for (const { path } of isLeft ? this.#made.values() : []) await removed(chmod(path, 0o700));
    for (const path of this.#staged.values()) await removed(rm(path, { recursive: true, force: true }));
    await removed(this.#journal.end());
  }

  #countEntry(): void {
    this.#entries += 1;
    this.#checkCount();
  }

  #checkCount(): void {
    const { entriesMax = limits.copyEntriesMax } = this.#options;
    if (this.#entries + this.#made.size > entriesMax)
      throw new BoxledgerError('ResourceExhausted', `the archive has more than ${entriesMax} entries`, {
        help: 'Nothing was unpacked. Copy it in parts.',
        details: { entriesMax },
      });
  }

  /** Makes a file or link. A second entry for the same place replaces the first. */
  async #create(
    parts: readonly string[],
    make: (path: string) => Promise<void>,
    attributes: Kept | undefined,
  ): Promise<void> {
    this.#countEntry();
    const name = parts.at(-1);
    if (name === undefined) throw refusedEntry('.', 'the destination is a directory');
    const directory = await this.#directory(parts.slice(0, -1));
    const place = posix.join(directory.place, name);
    if (this.#made.has(place)) throw noFile(place);
    if (!directory.isNew) await this.#checkFree(place);
    const path = directory.isNew ? posix.join(directory.path, name) : await this.#stage(place, directory);
    await doing(place, async () => {
      await replacing(path, make);
      if (attributes !== undefined) await keep(path, attributes);
    });
  }

  /** The temporary name of what goes into a directory that was there before. */
  async #stage(place: string, { path }: Pick<Directory, 'path'>): Promise<string> {
    const earlier = this.#staged.get(place);
    if (earlier !== undefined) return earlier;
    await this.#journal.note(path);
    this.#names += 1;
    const temporary = posix.join(path, `${this.#prefix}${this.#names}`);
    this.#staged.set(place, temporary);
    return temporary;
  }

  /** Throws unless what is staged for the place may take it. */
  async #checkFree(place: string): Promise<void> {
    const found = await look(place);
    if (found === undefined) return;
    if (this.#made.has(place)) throw noDirectory(place);
    if (found.isDirectory()) throw noFile(place);
    if (!this.#options.overwrite)
      throw new BoxledgerError('AlreadyExists', `${place} is there already`, {
        help: 'Allow overwriting, or remove it first.',
      });
  }

  /** The directory with these parts, made if it is missing. Throws when a link or anything else is in the way. */
  async #directory(parts: readonly string[]): Promise<Directory> {
    assert(this.#base !== undefined, 'a staging begins before anything is added');
    let directory = this.#base;
    for (const part of parts) directory = await this.#child(directory, part, parts);
    return directory;
  }

  /** The root, or a directory above it. */
  async #ancestor(place: string): Promise<Directory> {
    const found = await look(place);
    if (found === undefined) return this.#make(place, await this.#ancestor(posix.dirname(place)));
    if (!found.isDirectory()) throw noDirectory(place);
    return { place, path: place, isNew: false };
  }

  async #child(parent: Directory, part: string, parts: readonly string[]): Promise<Directory> {
    const place = posix.join(parent.place, part);
    const made = this.#made.get(place);
    if (made !== undefined) return { place, path: made.path, isNew: true };
    if (this.#staged.has(place)) throw noDirectory(place);
    const path = posix.join(parent.path, part);
    const found = await look(path);
    if (found === undefined) return this.#make(place, parent);
    if (found.isSymbolicLink()) throw refusedEntry(parts.join('/'), `${place} is a symbolic link`);
    if (!found.isDirectory()) throw noDirectory(place);
    return { place, path, isNew: false };
  }

  async #make(place: string, parent: Directory): Promise<Directory> {
    const path = parent.isNew
      ? posix.join(parent.path, posix.basename(place))
      : await this.#stage(place, parent);
    this.#made.set(place, { path, attributes: undefined });
    this.#checkCount();
    await doing(place, () => mkdir(path, 0o755));
    return { place, path, isNew: true };
  }

  /** Where a file is now that a hard link names: of the archive, or of the destination. */
  async #file(parts: readonly string[]): Promise<string> {
    let place = this.#root;
    let path = this.#made.get(place)?.path ?? place;
    for (const [index, part] of parts.entries()) {
      place = posix.join(place, part);
      path = this.#made.get(place)?.path ?? this.#staged.get(place) ?? posix.join(path, part);
      const found = await look(path);
      const fits = index === parts.length - 1 ? found?.isFile() : found?.isDirectory();
      if (fits !== true) throw refusedEntry(parts.join('/'), 'it is the target of a link, and no file');
    }
    return path;
  }
}

type Kept = Omit<EntryAttributes, 'mode'> & { readonly mode: number | undefined };

const keep = async (path: string, { mode, modifiedAt, owner }: Kept): Promise<void> => {
  if (owner !== undefined)
    await lchown(path, owner.uid, owner.gid).catch((error: unknown) => {
      if (errnoOf(error) !== 'EPERM') throw error;
    });
  if (mode !== undefined) await chmod(path, mode & 0o777);
  await lutimes(path, modifiedAt, modifiedAt);
};

/** What an earlier entry of the same archive has put there makes way. */
const replacing = async (path: string, make: (path: string) => Promise<void>): Promise<void> => {
  try {
    await make(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    await unlink(path);
    await make(path);
  }
};

const noFile = (place: string) =>
  new BoxledgerError('AlreadyExists', `${place} is a directory, and a file is to take its place`);

const noDirectory = (place: string) =>
  new BoxledgerError('AlreadyExists', `${place} is there, and is not a directory`);

/** What is there, links not followed; undefined when nothing is. */
const look = async (path: string) => {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromErrno(error, `${path} cannot be looked at`);
  }
};

const doing = async (path: string, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    throw fromErrno(error, `${path} cannot be written`);
  }
};

/** Cleaning up goes on whatever happened: what could be removed is, and what somebody else put there stays. */
const removed = (removal: Promise<void>): Promise<void> =>
  removal.catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') console.error('not cleaned up:', error);
  });
