import { limits } from '../../kernel/limits.ts';
import { badArchive } from './bad-archive.ts';

/**
 * Entries of a disk come depth first, what is in a directory in ascending order of its names' bytes. That order alone, with
 * no list of all that was there, tells that nothing comes twice, and that whatever is above an entry is a directory of the
 * same archive: nothing can be written through a link.
 */
export class DepthFirst {
  readonly #root: string;
  readonly #open: { readonly name: string; last: string | undefined }[] = [];

  constructor(root: string) {
    this.#root = root;
  }

  /** Throws `InvalidArgument` for an entry that must not come here. */
  accept(path: string, isDirectory: boolean): void {
    const problem = problemOf(path);
    if (problem !== undefined) throw badArchive(path, problem);
    const names = path.split('/');
    const name = names.at(-1) ?? '';
    if (this.#open.length === 0) {
      if (path !== this.#root || !isDirectory) throw badArchive(path, `it comes before ${this.#root}/`);
      this.#open.push({ name, last: undefined });
      return;
    }
    if (names.length - 1 > this.#open.length) throw badArchive(path, notInDirectory);
    this.#open.length = Math.max(names.length - 1, 1);
    if (this.#open.some((directory, depth) => directory.name !== names[depth]))
      throw badArchive(path, notInDirectory);
    const above = this.#open.at(-1);
    if (names.length === 1 || above === undefined || above.last === name)
      throw badArchive(path, 'it is there twice');
    if (above.last !== undefined && compareNames(above.last, name) > 0)
      throw badArchive(path, 'it is out of order, or there twice');
    above.last = name;
    if (isDirectory) this.#open.push({ name, last: undefined });
  }
}

const notInDirectory = 'it is not in a directory that the archive has just before it';

/** By bytes of UTF-8. */
export const compareNames = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));

/** What is wrong with a path that is to stay below where it is unpacked. */
export const problemOf = (path: string): string | undefined => {
  if (path.includes('\0')) return 'its name has a NUL in it';
  if (path.startsWith('/')) return 'its path is absolute';
  if (Buffer.byteLength(path) > limits.pathMaxBytes) return 'its path is too long';
  for (const name of path.split('/')) {
    if (name === '..') return 'its path goes up';
    if (name === '' || name === '.') return 'its path has a part without a name';
    if (Buffer.byteLength(name) > limits.fileNameMaxBytes) return 'its name is too long';
  }
  return undefined;
};
