import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ParseResult, parseSync } from 'oxc-parser';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Paths of all files that git tracks or would track, relative to the root. */
export const trackedFiles: readonly string[] = execFileSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
  { cwd: root, encoding: 'utf8' },
)
  .split('\0')
  .filter((path) => path !== '' && isFile(path));

function isFile(path: string): boolean {
  return statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true;
}

export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** A parsed source file. Generated code is not tracked, so it is not among them. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly parsed: ParseResult;
  /** 1-based line of an offset in `text`. */
  lineAt(offset: number): number;
}

export const sources = (...folders: readonly string[]): readonly Source[] =>
  trackedFiles
    .filter((path) => /\.(ts|mjs)$/.test(path) && folders.some((folder) => path.startsWith(`${folder}/`)))
    .map((path) => {
      const text = textOf(path);
      return {
        path,
        text,
        parsed: parseSync(path, text),
        lineAt: lineFinder(text),
      };
    });

const lineFinder = (text: string): ((offset: number) => number) => {
  const starts = [0];
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) starts.push(end + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
};
