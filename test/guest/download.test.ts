import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { listing, plainDownload, writeSparse } from '../support/archive.ts';
import { eventually } from '../support/eventually.ts';
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

const download = (path: string, options: Partial<typeof plainDownload> = {}) =>
  listing(agent.guest.download(path, { ...plainDownload, ...options }, patience()));

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

test('names too long for a plain header, large sizes and hard links arrive', async () => {
  const long = 'ü'.repeat(120);
  await mkdir(join(source, long));
  await writeFile(join(source, long, long), 'deep');
  await link(join(source, long, long), join(source, 'z-other-name'));
  await symlink(`${long}/${long}`, join(source, 'to-it'));
  expect(await download(source)).toEqual({
    './': '/',
    [`./${long}/`]: '/',
    [`./${long}/${long}`]: expect.stringMatching(/^deep$|z-other-name$/),
    './z-other-name': expect.stringMatching(/^deep$|ü$/),
    './to-it': `${long}/${long}`,
  });
});

test('what the guest packs, the tar of the machine unpacks', async () => {
  await makeTree();
  const archive: Uint8Array[] = [];
  const options = { ...plainDownload, includeParent: true };
  for await (const piece of agent.guest.download(`${source}/dir`, options, patience())) archive.push(piece);
  const target = join(source, 'unpacked');
  await mkdir(target);
  execFileSync('tar', ['-C', target, '-xf', '-'], { input: Buffer.concat(archive) });
  await run(agent.guest, sh(`rm ${source}/dir/pipe`));
  const { stdout, exit } = await run(agent.guest, sh(`diff -r --no-dereference ${source}/dir ${target}/dir`));
  expect({ stdout, exit }).toEqual({ stdout: '', exit: { kind: 'code', code: 0 } });
});

test('a name that is not UTF-8 is refused rather than changed', async () => {
  await run(agent.guest, sh(`touch "$(printf '${source}/\\377')"`));
  await expect(download(source)).rejects.toMatchObject({ code: 'InvalidArgument' });
  await run(agent.guest, sh(`rm ${source}/*`));
});

test('a large file goes to a slow reader without being held by the agent', async () => {
  await writeSparse(join(source, 'large'), 256);
  const before = (await agent.memoryMib()).now;
  let bytes = 0;
  for await (const piece of agent.guest.download(`${source}/large`, plainDownload, patience())) {
    bytes += piece.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(bytes).toBeGreaterThan(256 * 1024 * 1024);
  expect((await agent.memoryMib()).peak - before).toBeLessThan(100);
});

test('a reader that leaves, and one that aborts, end the call', async () => {
  await writeSparse(join(source, 'large'), 256);
  for await (const _piece of agent.guest.download(`${source}/large`, plainDownload, patience())) break;
  const stop = new AbortController();
  await expect(async () => {
    for await (const _piece of agent.guest.download(`${source}/large`, plainDownload, stop.signal))
      stop.abort(new Error('enough'));
  }).rejects.toThrow('enough');
  const openFiles = async () => (await readdir(`/proc/${agent.child.pid}/fd`)).length;
  const before = await openFiles();
  for (let times = 0; times < 20; times += 1)
    for await (const _piece of agent.guest.download(`${source}/large`, plainDownload, patience())) break;
  await eventually('every file is closed', async () => (await openFiles()) <= before);
});
