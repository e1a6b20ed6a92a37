import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { listing, writeSparse } from '../support/archive.ts';
import { patience, run, sh } from '../support/guest-exec.ts';

let agent: TestAgent;
let source: string;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
});
afterAll(() => agent.stop());
beforeEach(async () => {
  source = await mkdtemp(join(agent.home, 'from-'));
});
afterEach(() => rm(source, { recursive: true }));

const download = (path: string, { followSymlinks = false, includeParent = false } = {}) =>
  listing(agent.guest.download(path, { followSymlinks, includeParent }, patience()));

const makeTree = async () => {
  await mkdir(join(source, 'dir/sub'), { recursive: true });
  await writeFile(join(source, 'dir/@file'), 'content');
  await writeFile(join(source, 'dir/sub/other'), 'x'.repeat(100_000));
  await symlink('@file', join(source, 'dir/link'));
  await run(agent.guest, sh(`mkfifo ${source}/dir/pipe`));
};

test('a directory is packed with its name or without, links as links, and pipes left out', async () => {
  await makeTree();
  const contents = { '@file': 'content', link: '@file', 'sub/': '/', 'sub/other': 'x'.repeat(100_000) };
  expect(await download(`${source}/dir`)).toEqual({
    './': '/',
    ...Object.fromEntries(Object.entries(contents).map(([path, what]) => [`./${path}`, what])),
  });
  expect(await download(`${source}/dir/`, { includeParent: true })).toEqual({
    'dir/': '/',
    ...Object.fromEntries(Object.entries(contents).map(([path, what]) => [`dir/${path}`, what])),
  });
});

test('a file is packed under its name, from the home when its path is relative', async () => {
  await makeTree();
  expect(await download(`${source}/dir/@file`)).toEqual({ '@file': 'content' });
  expect(await download(`${source.slice(agent.home.length + 1)}/dir/@file`)).toEqual({ '@file': 'content' });
});

test('a link is packed as itself, or followed when asked for', async () => {
  await makeTree();
  expect(await download(`${source}/dir/link`)).toEqual({ link: '@file' });
  expect(await download(`${source}/dir/link`, { followSymlinks: true })).toEqual({ link: 'content' });
  expect(await download(`${source}/dir`, { followSymlinks: true })).toMatchObject({ './link': 'content' });
});

test('links that lead in a circle or nowhere are refused when they are to be followed', async () => {
  await mkdir(join(source, 'a/b'), { recursive: true });
  await symlink('..', join(source, 'a/b/up'));
  expect(await download(source)).toMatchObject({ './a/b/up': '..' });
  await expect(download(source, { followSymlinks: true })).rejects.toMatchObject({ code: 'InvalidArgument' });
  await rm(join(source, 'a/b/up'));
  await symlink('none', join(source, 'a/dangling'));
  await expect(download(source, { followSymlinks: true })).rejects.toMatchObject({ code: 'NotFound' });
});

test('what is not there is not found, and an empty path refused', async () => {
  await expect(download(`${source}/none`)).rejects.toMatchObject({ code: 'NotFound' });
  await expect(download('')).rejects.toMatchObject({ code: 'InvalidArgument', faults: [{ field: 'path' }] });
});

test('a large file goes to a slow reader without being held by the agent', async () => {
  await writeSparse(join(source, 'large'), 256);
  const before = (await agent.memoryMib()).now;
  let bytes = 0;
  const options = { followSymlinks: false, includeParent: false };
  for await (const piece of agent.guest.download(`${source}/large`, options, patience())) {
    bytes += piece.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(bytes).toBeGreaterThan(256 * 1024 * 1024);
  expect((await agent.memoryMib()).peak - before).toBeLessThan(60);
});

test('a reader that leaves, and one that aborts, end the call', async () => {
  await writeSparse(join(source, 'large'), 256);
  const options = { followSymlinks: false, includeParent: false };
  for await (const _piece of agent.guest.download(`${source}/large`, options, patience())) break;
  const stop = new AbortController();
  await expect(async () => {
    for await (const _piece of agent.guest.download(`${source}/large`, options, stop.signal))
      stop.abort(new Error('enough'));
  }).rejects.toThrow('enough');
  await agent.guest.ping(patience());
});
