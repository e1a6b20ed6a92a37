import { Visitor } from 'oxc-parser';
import { expect, test } from 'vitest';
import { type Source, sources } from './sources.ts';

const functionMaxLines = 70;
const fileMaxLines = 300;
const fileLimitLines = 500;

/** Files of more than `fileMaxLines` lines, each with the reason why it is one file. Suites need none. */
const longFiles: Readonly<Record<string, string>> = {};

const everything = sources('src', 'test', 'bench', 'scripts', 'bin');

const lineCount = (text: string) => text.trimEnd().split('\n').length;

const longFunctions = ({ path, parsed, lineAt }: Source): readonly string[] => {
  const found: string[] = [];
  const check = ({ start, end }: { readonly start: number; readonly end: number }) => {
    const lines = lineAt(end) - lineAt(start) + 1;
    if (lines > functionMaxLines) found.push(`${path}:${lineAt(start)} (${lines} lines)`);
  };
  new Visitor({
    FunctionDeclaration: check,
    FunctionExpression: check,
    ArrowFunctionExpression: check,
  }).visit(parsed.program);
  return found;
};

test('every source file parses', () => {
  expect(everything.filter(({ parsed }) => parsed.errors.length > 0).map(({ path }) => path)).toEqual([]);
});

test(`a file has at most ${fileMaxLines} lines, or a reason to have at most ${fileLimitLines}`, () => {
  const mayBeLong = (path: string) => path in longFiles || path.endsWith('.test.ts');
  const tooLong = everything.filter(
    ({ path, text }) => lineCount(text) > (mayBeLong(path) ? fileLimitLines : fileMaxLines),
  );
  expect(tooLong.map(({ path, text }) => `${path} (${lineCount(text)} lines)`)).toEqual([]);
});

test('a file that is listed as long is long', () => {
  const short = everything.filter(({ path, text }) => path in longFiles && lineCount(text) <= fileMaxLines);
  expect(short.map(({ path }) => path)).toEqual([]);
});

test(`a function fits a screen: ${functionMaxLines} lines`, () => {
  // A suite's callback is a list of tests, not a function to be read as one.
  const shipped = everything.filter(({ path }) => !path.startsWith('test/'));
  expect(shipped.flatMap(longFunctions)).toEqual([]);
});
