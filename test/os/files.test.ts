import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readIfThere, writeWhole } from '../../src/os/files.ts';

const temporaryDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-files-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
};

test('what is written whole replaces what was there, and leaves no draft behind', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'note');
  await writeWhole(path, 'one');
  await writeWhole(path, 'two', { flush: true });
  expect(await readIfThere(path)).toBe('two');
  expect(await readdir(directory)).toEqual(['note']);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a file that is not there, or whose directory is none, is undefined', async () => {
  const directory = await temporaryDirectory();
  await writeWhole(join(directory, 'file'), '');
  expect(await readIfThere(join(directory, 'none'))).toBeUndefined();
  expect(await readIfThere(join(directory, 'file', 'none'))).toBeUndefined();
});
