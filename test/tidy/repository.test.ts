import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { textOf, trackedFiles } from './sources.ts';

/** Names that say nothing about what is in the file. */
const emptyNames = /^(utils?|helpers?|types|common|misc|shared|index)\.(ts|mjs|sql)$/;
const kebabCase = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z-]+)*$/;

const isText = (path: string) => !/\.(png|ico|zst|tar|binpb)$/.test(path);
const code = trackedFiles.filter((path) => /^(src|test|bench|scripts)\//.test(path));

test('a file is named after what is in it, in kebab case', () => {
  const wrong = code.filter((path) => {
    const name = basename(path);
    return emptyNames.test(name) || (/\.(ts|mjs)$/.test(name) && !kebabCase.test(name));
  });
  expect(wrong).toEqual([]);
});

test('no file names a registry or a directory of the machine it was written on', () => {
  const foreign = [
    /\bregistry\.[a-z]+\.[a-z]{2,}\b/,
    /"resolved":\s*"http/,
    /_auth(Token)?\s*=/,
    /(^|[\s'"`(=])\/(Users|work|root)\/\w/m,
  ];
  const wrong = trackedFiles
    .filter((path) => isText(path) && !path.startsWith('test/tidy/'))
    .filter((path) => foreign.some((pattern) => pattern.test(textOf(path))));
  expect(wrong).toEqual([]);
});

test('no conflict marker and no postponed work is left in a file', () => {
  const left = /^(<{7}|>{7}) |\b(TO[D]O|FIX[M]E|XX[X])\b/m;
  expect(trackedFiles.filter(isText).filter((path) => left.test(textOf(path)))).toEqual([]);
});

test('every SQL file opens with a comment that says what it is for', () => {
  const mute = trackedFiles.filter((path) => path.endsWith('.sql') && !/^--\s*\S/.test(textOf(path)));
  expect(mute).toEqual([]);
});

test('migrations are numbered without gaps', () => {
  const names = trackedFiles
    .filter((path) => /\/migrations\/[^/]+\.sql$/.test(path))
    .map((path) => basename(path));
  const expected = names.map((_, index) => String(index + 1).padStart(4, '0'));
  expect(names.sort().map((name) => name.slice(0, 4))).toEqual(expected);
});

test('nothing that is built or installed is tracked', () => {
  expect(trackedFiles.filter((path) => /^(node_modules|dist|src\/gen|\.boxledger)\//.test(path))).toEqual([]);
});

test('the documents that every user looks for are there', () => {
  const documents = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'LICENSE',
    'docs/glossary.md',
    'docs/configuration.md',
  ];
  expect(documents.filter((path) => !trackedFiles.includes(path))).toEqual([]);
});

test('every link from one document to a file of the repository leads somewhere', () => {
  const broken = trackedFiles
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) => {
      const base = new URL(path, 'file:///');
      return [...textOf(path).matchAll(/\]\(([^)\s#]+)(#[^)\s]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => {
          const wanted = new URL(target, base).pathname.slice(1).replace(/\/$/, '');
          return !trackedFiles.some((file) => file === wanted || file.startsWith(`${wanted}/`));
        })
        .map((target) => `${path} → ${target}`);
    });
  expect(broken).toEqual([]);
});
