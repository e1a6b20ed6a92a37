import { type Expression, Visitor } from 'oxc-parser';
import { expect, test } from 'vitest';
import { type Source, sources } from './sources.ts';

const shipped = sources('src', 'bench');
const tests = sources('test');

/** Line numbers on which a comment of at least one word stands. */
const commentedLines = ({ parsed, lineAt }: Source): ReadonlySet<number> =>
  new Set(
    parsed.comments
      .filter(({ value }) => /\w/.test(value))
      .flatMap(({ start, end }) => {
        const [first, last] = [lineAt(start), lineAt(end)];
        return Array.from({ length: last - first + 1 }, (_, index) => first + index);
      }),
  );

/** Places that need a reason and have none, on their own line or the line above. */
const withoutReason = (source: Source, offsets: readonly number[]): readonly string[] => {
  const commented = commentedLines(source);
  return offsets
    .map((offset) => source.lineAt(offset))
    .filter((line) => !commented.has(line) && !commented.has(line - 1))
    .map((line) => `${source.path}:${line}`);
};

const isCast = (expression: Expression): boolean =>
  expression.type === 'TSAsExpression' ||
  expression.type === 'TSTypeAssertion' ||
  (expression.type === 'ParenthesizedExpression' && isCast(expression.expression));

/** Where the type checker is overruled: `any`, `!` and casts of a cast. */
const overrulings = ({ parsed }: Source): readonly number[] => {
  const found: number[] = [];
  new Visitor({
    TSAnyKeyword: ({ start }) => found.push(start),
    TSNonNullExpression: ({ end }) => found.push(end),
    TSAsExpression: ({ expression, end }) => isCast(expression) && found.push(end),
    TSTypeAssertion: ({ expression, end }) => isCast(expression) && found.push(end),
  }).visit(parsed.program);
  return found;
};

test('any, ! and double casts carry their reason', () => {
  expect(shipped.flatMap((source) => withoutReason(source, overrulings(source)))).toEqual([]);
});

test('a directive that silences a checker says why', () => {
  const silent = [...shipped, ...tests].flatMap(({ path, parsed, lineAt }) =>
    parsed.comments
      .filter(({ value }) => /^[\s*]*(@ts-(expect-error|ignore|nocheck)|biome-ignore)/.test(value))
      .filter(({ value }) => !/(@ts-expect-error|biome-ignore [\w/]+):? +\S+ +\S+/.test(value))
      .map(({ start }) => `${path}:${lineAt(start)}`),
  );
  expect(silent).toEqual([]);
});

test('no test is left out without a reason, and none runs alone', () => {
  const wrong = tests.flatMap((source) => {
    const skipped: number[] = [];
    const alone: string[] = [];
    new Visitor({
      MemberExpression: ({ object, property, end }) => {
        if (property.type !== 'Identifier') return;
        if (object.type !== 'Identifier' || !['describe', 'it', 'suite', 'test'].includes(object.name))
          return;
        if (property.name === 'only') alone.push(`${source.path}:${source.lineAt(end)}`);
        if (['skip', 'todo'].includes(property.name)) skipped.push(end);
      },
    }).visit(source.parsed.program);
    return [...alone, ...withoutReason(source, skipped)];
  });
  expect(wrong).toEqual([]);
});

test('no catch is empty', () => {
  const empty = [...shipped, ...tests, ...sources('scripts')].flatMap(({ path, parsed, lineAt }) => {
    const found: string[] = [];
    new Visitor({
      CatchClause: ({ body, start }) => {
        if (body.body.length === 0) found.push(`${path}:${lineAt(start)}`);
      },
    }).visit(parsed.program);
    return found;
  });
  expect(empty).toEqual([]);
});
