/*
 * The unpacking of one archive as a transaction.
 *
 * 1. Nothing is written through a link: every directory on the way to an entry is looked at without following links,
 *    and content only goes to new files.
 * 2. Files and links are made under temporary names in the directory that they are for, so that moving them needs no
 *    copy whatever is mounted where, and get their own names in `commit`, after everything has been checked.
 * 3. `rollback` removes what was begun; directories that were there before are left as they were. An agent killed in
 *    between leaves files whose names begin with `.boxledger-upload-`.
 *
 * A program of the box that swaps directories for links meanwhile can misdirect an entry, but only to where it could
 * have written itself: it runs as the same user.
 */
import { randomBytes } from 'node:crypto';
import { chmod, link, lstat, mkdir, open, rename, rmdir, symlink, unlink, utimes } from 'node:fs/promises';
import { posix } from 'node:path';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { fromErrno } from './from-errno.ts';
import { refusedEntry } from './transfer-paths.ts';

/** Entries of one archive; what is remembered of each until the commit is its path. */
const entriesMax = 250_000;

/** What an entry keeps of its origin. Owners are not kept: the sender's ids mean nothing in the box. */
export interface EntryAttributes {
  /** Permission bits; set-id and sticky bits are dropped. */
  readonly mode: number;
  readonly modifiedAt: Date;
}

export class Staging {
  readonly #root: string;
  readonly #overwrite: boolean;
  readonly #prefix = `.boxledger-upload-${randomBytes(6).toString('hex')}-`;
  /** Place of each file or link → the number in its temporary name. */
  readonly #staged = new Map<string, number>();
  /** Directories that were made, parents first. */
  readonly #made = new Map<string, EntryAttributes | undefined>();
  #count = 0;

  /** `root`: an absolute path without links. */
  constructor(root: string, overwrite: boolean) {
    this.#root = root;
    this.#overwrite = overwrite;
  }

  /** Makes the destination with its parents where they are missing. */
  async begin(): Promise<void> {
    const missing: string[] = [];
    for (let path = this.#root; !(await this.#isDirectory(path)); path = posix.dirname(path))
      missing.unshift(path);
    for (const path of missing) await this.#make(path);
  }

  async addDirectory(parts: readonly string[], attributes: EntryAttributes): Promise<void> {
    this.#countEntry();
    const path = await this.#directory(parts);
    if (this.#made.has(path)) this.#made.set(path, attributes);
  }

  async addFile(
    parts: readonly string[],
    attributes: EntryAttributes,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { place, temporary } = await this.#stage(parts);
    await this.#doing(place, async () => {
      const file = await open(temporary, 'wx', 0o600);
      try {
        for await (const chunk of content) await file.writeFile(chunk); // appends: the handle keeps its position
        await file.chmod(attributes.mode & 0o777);
        await file.utimes(attributes.modifiedAt, attributes.modifiedAt);
      } finally {
        await file.close();
      }
    });
  }

  async addSymlink(parts: readonly string[], target: string): Promise<void> {
    const { place, temporary } = await this.#stage(parts);
    await this.#doing(place, () => symlink(target, temporary));
  }

  /** A hard link to a file of the archive, or of the destination. */
  async addLink(parts: readonly string[], targetParts: readonly string[]): Promise<void> {
    const targetPlace = posix.join(this.#root, ...targetParts);
    const number = this.#staged.get(targetPlace);
    const target =
      number === undefined ? await this.#existingFile(targetParts) : this.#temporary(targetPlace, number);
    const { place, temporary } = await this.#stage(parts);
    await this.#doing(place, () => link(target, temporary));
  }

  /** Checks all, then moves all. Returns the number of entries. */
  async commit(): Promise<number> {
    for (const place of this.#staged.keys()) await this.#checkPlace(place);
    for (const [place, number] of this.#staged) {
      await this.#doing(place, () => rename(this.#temporary(place, number), place));
      this.#staged.delete(place);
    }
    for (const [path, attributes] of [...this.#made].reverse())
      if (attributes !== undefined)
        await this.#doing(path, async () => {
          await chmod(path, attributes.mode & 0o777);
          await utimes(path, attributes.modifiedAt, attributes.modifiedAt);
        });
    return this.#count;
  }

  async rollback(): Promise<void> {
    for (const [place, number] of this.#staged) await removed(unlink(this.#temporary(place, number)));
    for (const path of [...this.#made.keys()].reverse()) await removed(rmdir(path));
  }

  #countEntry(): void {
    this.#count += 1;
    if (this.#count > entriesMax)
      throw new BoxledgerError('ResourceExhausted', `the archive has more than ${entriesMax} entries`, {
        help: 'Send it in parts.',
      });
  }

  /** Reserves a temporary name for a file or link. A second entry for the same place replaces the first. */
  async #stage(parts: readonly string[]): Promise<{ readonly place: string; readonly temporary: string }> {
    this.#countEntry();
    const name = parts.at(-1);
    if (name === undefined) throw refusedEntry('.', 'the destination is a directory');
    const place = posix.join(await this.#directory(parts.slice(0, -1)), name);
    await this.#checkPlace(place);
    const earlier = this.#staged.get(place);
    if (earlier !== undefined) await removed(unlink(this.#temporary(place, earlier)));
    this.#staged.set(place, this.#count);
    return { place, temporary: this.#temporary(place, this.#count) };
  }

  #temporary(place: string, number: number): string {
    return posix.join(posix.dirname(place), `${this.#prefix}${number}`);
  }

  /** Throws unless a file or link may be put there. */
  async #checkPlace(place: string): Promise<void> {
    const found = await this.#look(place);
    if (found?.isDirectory())
      throw new BoxledgerError('AlreadyExists', `${place} is a directory, and a file is to take its place`);
    if (found !== undefined && !this.#overwrite)
      throw new BoxledgerError('AlreadyExists', `${place} is there already`, {
        help: 'Allow overwriting, or remove it first.',
      });
  }

  /** The directory with these parts, made if it is missing. Throws when a link or anything else is in the way. */
  async #directory(parts: readonly string[]): Promise<string> {
    let path = this.#root;
    for (const part of parts) {
      path = posix.join(path, part);
      const found = await this.#look(path);
      if (found === undefined) await this.#make(path);
      else if (found.isSymbolicLink()) throw refusedEntry(parts.join('/'), `${path} is a symbolic link`);
      else if (!found.isDirectory())
        throw new BoxledgerError('AlreadyExists', `${path} is there, and is not a directory`);
    }
    return path;
  }

  async #existingFile(parts: readonly string[]): Promise<string> {
    let path = this.#root;
    for (const [index, part] of parts.entries()) {
      path = posix.join(path, part);
      const found = await this.#look(path);
      const fits = index === parts.length - 1 ? found?.isFile() : found?.isDirectory();
      if (fits !== true) throw refusedEntry(parts.join('/'), 'it is the target of a link, and no file');
    }
    return path;
  }

  async #make(path: string): Promise<void> {
    await this.#doing(path, () => mkdir(path, 0o755));
    this.#made.set(path, undefined);
  }

  async #isDirectory(path: string): Promise<boolean> {
    const found = await this.#look(path);
    if (found !== undefined && !found.isDirectory())
      throw new BoxledgerError('AlreadyExists', `${path} is there, and is not a directory`);
    return found !== undefined;
  }

  /** What is there, links not followed; undefined when nothing is. */
  async #look(path: string) {
    try {
      return await lstat(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw fromErrno(error, `${path} cannot be looked at`);
    }
  }

  async #doing(path: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw fromErrno(error, `${path} cannot be written`);
    }
  }
}

/** Cleaning up goes on whatever happened: what could be removed is, and what somebody else put there stays. */
const removed = (removal: Promise<void>): Promise<void> =>
  removal.catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTEMPTY')
      console.error('not cleaned up:', error);
  });
