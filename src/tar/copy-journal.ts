/*
 * What a killed process leaves of an unpacking is found again by a journal: a file that says in which directories there are
 * temporary names, kept in one directory for as long as the unpacking goes on.
 */
import { appendFile, readdir, readFile, rm } from 'node:fs/promises';
import { posix } from 'node:path';
import { errnoOf } from '../kernel/errno.ts';

const journalPattern = /^(\.boxledger-copy-[0-9a-f]{12}-)journal$/;

export class CopyJournal {
  readonly #prefix: string;
  readonly #file: string | undefined;
  readonly #noted = new Set<string>();

  /** `prefix`: what the temporary names begin with. Undefined `home`: none is kept. */
  constructor(home: string | undefined, prefix: string) {
    this.#prefix = prefix;
    this.#file = home && posix.join(home, `${prefix}journal`);
  }

  /** To be called before the first temporary name in the directory. */
  async note(directory: string): Promise<void> {
    if (this.#file === undefined || this.#noted.has(directory)) return;
    this.#noted.add(directory);
    await appendFile(this.#file, `${JSON.stringify(directory)}\n`).catch((error: unknown) =>
      console.error(`should the agent be killed, ${this.#prefix}* stays in ${directory}:`, error),
    );
  }

  async end(): Promise<void> {
    if (this.#file !== undefined && this.#noted.size > 0) await rm(this.#file, { force: true });
  }
}

/** Removes what unpackings have left whose journals are in `home`. None may be under way. */
export const clearLeftovers = async (home: string): Promise<void> => {
  for (const name of await namesIn(home)) {
    const [, prefix] = journalPattern.exec(name) ?? [];
    if (prefix === undefined) continue;
    const journal = posix.join(home, name);
    for (const directory of directoriesOf(await readFile(journal, 'utf8')))
      for (const left of await namesIn(directory))
        if (left.startsWith(prefix) && left !== name)
          await rm(posix.join(directory, left), { recursive: true, force: true });
    await rm(journal);
  }
};

/** A last line that was not written whole names a directory in which nothing was made yet. */
const directoriesOf = (text: string): readonly string[] =>
  text
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => {
      const directory: unknown = JSON.parse(line);
      return typeof directory === 'string' ? [directory] : [];
    });

const namesIn = async (directory: string): Promise<readonly string[]> => {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
};
