import { execFileSync } from 'node:child_process';
import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildAgent, startAgent, startAgentAt, type TestAgent } from '../support/agent-process.ts';
import { archiveOf, pieces, plainUpload, type TestEntry, writeSparse } from '../support/archive.ts';
import { eventually } from '../support/eventually.ts';
import { patience } from '../support/guest-exec.ts';

let agent: TestAgent;
/** Where archives go, and the only place where anything may change. */
let destination: string;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
});
afterAll(() => agent.stop());
beforeEach(async () => {
  destination = await mkdtemp(join(agent.home, 'to-'));
});
afterEach(async () => {
  expect(await readdir(agent.home)).toEqual([destination.slice(agent.home.length + 1)]); // nothing beside it
  await rm(destination, { recursive: true });
});

const upload = (archive: Uint8Array, { overwrite = true, path = destination, size = 1000 } = {}) =>
  agent.guest.upload(path, { ...plainUpload, overwrite }, pieces(archive, size), patience());

const put = (...entries: TestEntry[]) => upload(archiveOf(...entries));

/** Everything below the destination; links are not followed, as `readdir` would. */
const tree = (): readonly string[] =>
  execFileSync('find', ['.', '-mindepth', '1'], { cwd: destination, encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [line.slice(2)]))
    .sort();

describe('an upload', () => {
  test('unpacks files, directories and links that stay inside', async () => {
    const result = await put(
      { path: './', type: 'Directory', mode: 0o700 },
      { path: 'bin/', type: 'Directory', mode: 0o555 },
      { path: 'bin/tool', content: '#!/bin/sh\n', mode: 0o755 },
      { path: 'deep/er/file', content: 'x'.repeat(5000) },
      { path: 'deep/up', type: 'SymbolicLink', linkpath: '../bin/tool' },
      { path: 'same', type: 'Link', linkpath: 'bin/tool' },
      { path: 'empty' },
    );
    expect(result).toEqual({ entries: 7, bytes: 5010 });
    expect(tree()).toEqual(
      ['bin', 'bin/tool', 'deep', 'deep/er', 'deep/er/file', 'deep/up', 'empty', 'same'].sort(),
    );
    expect(await readlink(join(destination, 'deep/up'))).toBe('../bin/tool');
    expect((await stat(join(destination, 'bin'))).mode & 0o777).toBe(0o555);
    const tool = await stat(join(destination, 'bin/tool'));
    expect([tool.mode & 0o7777, tool.nlink, tool.mtime.toISOString()]).toEqual([
      0o755,
      2,
      '2026-01-02T03:04:05.000Z',
    ]);
  });

  test('takes what the tar of the machine makes, and large files without holding them', async () => {
    const source = await mkdtemp(join(agent.directory, 'source-'));
    const name = 'a name with ünïcode that is long enough for a pax header '.repeat(4).trim();
    await writeFile(join(source, name), 'long');
    await writeSparse(join(source, 'large'), 200);
    const tar = execFileSync('tar', ['-C', source, '-cf', '-', '--format=pax', '.'], { maxBuffer: 2 ** 30 });
    const before = (await agent.memoryMib()).now;
    await upload(tar, { size: 1_000_003 });
    expect(await readFile(join(destination, name), 'utf8')).toBe('long');
    expect((await stat(join(destination, 'large'))).size).toBe(200 * 1024 * 1024);
    expect((await agent.memoryMib()).peak - before).toBeLessThan(100);
  });

  test('works one byte at a time', async () => {
    await upload(archiveOf({ path: 'a', content: 'one' }, { path: 'b/c', content: 'two' }), { size: 1 });
    expect(await readFile(join(destination, 'b/c'), 'utf8')).toBe('two');
  });

  test('makes its destination, and takes a relative one from the home', async () => {
    const archive = archiveOf({ path: 'f', content: 'x' });
    await upload(archive, { path: `${destination}/new/er` });
    await upload(archive, { path: `${destination.slice(agent.home.length + 1)}/relative` });
    expect(tree()).toEqual(['new', 'new/er', 'new/er/f', 'relative', 'relative/f']);
  });

  test('takes an empty archive', async () => {
    expect(await put()).toEqual({ entries: 0, bytes: 0 });
  });

  test('keeps the last of several entries with one name', async () => {
    await put({ path: 'f', content: 'first' }, { path: './f', content: 'second' });
    expect(tree()).toEqual(['f']);
    expect(await readFile(join(destination, 'f'), 'utf8')).toBe('second');
  });

  test('keeps no owner and no set-id bits', async () => {
    await put({ path: 'suid', content: '', mode: 0o6755 });
    const found = await stat(join(destination, 'suid'));
    expect([found.mode & 0o7777, found.uid]).toEqual([0o755, process.getuid?.()]);
  });

  test('replaces files and links when it may, but not what the links lead to', async () => {
    const outside = join(agent.directory, 'outside');
    await writeFile(outside, 'untouched');
    await writeFile(join(destination, 'f'), 'old');
    await symlink(outside, join(destination, 'l'));
    await link(outside, join(destination, 'h'));
    await put({ path: 'f', content: 'new' }, { path: 'l', content: 'new' }, { path: 'h', content: 'new' });
    for (const name of ['f', 'l', 'h']) expect(await readFile(join(destination, name), 'utf8')).toBe('new');
    expect((await lstat(join(destination, 'l'))).isFile()).toBe(true);
    expect(await readFile(outside, 'utf8')).toBe('untouched');
  });

  test('that may not overwrite changes nothing when one file is there', async () => {
    await writeFile(join(destination, 'z'), 'old');
    const archive = archiveOf({ path: 'a', content: 'new' }, { path: 'd/e' }, { path: 'z', content: 'new' });
    await expect(upload(archive, { overwrite: false })).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(tree()).toEqual(['z']);
    expect(await readFile(join(destination, 'z'), 'utf8')).toBe('old');
  });

  test('puts no file in the place of a directory, and no directory in that of a file', async () => {
    await mkdir(join(destination, 'd'));
    await writeFile(join(destination, 'f'), '');
    await expect(put({ path: 'd', content: 'x' })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await expect(put({ path: 'f/', type: 'Directory' })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await expect(put({ path: 'f/g' })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await expect(put({ path: 'x' }, { path: 'x/y' })).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(tree()).toEqual(['d', 'f']);
  });

  test('to an empty path, or to one that is a file, is refused', async () => {
    await expect(upload(archiveOf(), { path: '' })).rejects.toMatchObject({
      code: 'InvalidArgument',
      faults: [{ field: 'path', problem: 'must not be empty' }],
    });
    await writeFile(join(destination, 'f'), '');
    await expect(upload(archiveOf(), { path: join(destination, 'f') })).rejects.toMatchObject({
      code: 'AlreadyExists',
    });
  });
});

describe('an archive that would leave the destination, or is none, changes nothing', () => {
  const good: TestEntry = { path: 'good', content: 'x' };
  const attacks: Record<string, readonly TestEntry[]> = {
    'a path that goes up': [{ path: '../evil', content: 'x' }],
    'a path that goes up in the middle': [{ path: 'a/../../evil', content: 'x' }],
    'an absolute path': [{ path: '/tmp/boxledger-evil', content: 'x' }],
    'a symbolic link to an absolute path': [{ path: 'l', type: 'SymbolicLink', linkpath: '/etc' }],
    'a symbolic link that goes up': [{ path: 'l', type: 'SymbolicLink', linkpath: '../..' }],
    'a symbolic link that goes up through another': [
      { path: 'a/b/', type: 'Directory' },
      { path: 'a/b/root', type: 'SymbolicLink', linkpath: '../..' },
      { path: 'a/l', type: 'SymbolicLink', linkpath: 'b/root/../evil' },
    ],
    'a file through a symbolic link of the archive': [
      { path: 'd/', type: 'Directory' },
      { path: 'l', type: 'SymbolicLink', linkpath: 'd' },
      { path: 'l/f', content: 'x' },
    ],
    'a hard link that goes up': [{ path: 'l', type: 'Link', linkpath: '../evil' }],
    'a hard link to an absolute path': [{ path: 'l', type: 'Link', linkpath: '/etc/passwd' }],
    'a hard link to nothing': [{ path: 'l', type: 'Link', linkpath: 'none' }],
    'a hard link through a link that is there': [{ path: 'l', type: 'Link', linkpath: 'existing/passwd' }],
    'a file through a link that is there': [{ path: 'existing/boxledger-evil', content: 'x' }],
    'a directory through a link that is there': [{ path: 'existing/d/', type: 'Directory' }],
    'a directory in the place of a link that is there': [{ path: 'existing/', type: 'Directory' }],
    'a character device': [{ path: 'null', type: 'CharacterDevice' }],
    'a block device': [{ path: 'disk', type: 'BlockDevice' }],
    'a pipe': [{ path: 'pipe', type: 'FIFO' }],
    'the destination itself as a file': [{ path: './', type: 'Link', linkpath: 'good' }],
  };

  beforeEach(() => symlink('/etc', join(destination, 'existing')));
  const unchanged = async () => {
    expect(tree()).toEqual(['existing']);
    expect(await readlink(join(destination, 'existing'))).toBe('/etc');
    await expect(lstat('/etc/boxledger-evil')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(lstat('/tmp/boxledger-evil')).rejects.toMatchObject({ code: 'ENOENT' });
  };

  test.each(Object.entries(attacks))('%s', async (_name, entries) => {
    await expect(put(good, { path: 'sub/good', content: 'x' }, ...entries)).rejects.toMatchObject({
      code: expect.stringMatching(/^(InvalidArgument|AlreadyExists)$/),
    });
    await unchanged();
  });

  test('an archive that ends too early', async () => {
    const whole = archiveOf(good, { path: 'cut', content: 'x'.repeat(10_000) });
    await expect(upload(whole.subarray(0, 6000))).rejects.toMatchObject({ code: 'InvalidArgument' });
    await unchanged();
  });

  test('no archive at all', async () => {
    await expect(upload(Buffer.alloc(10_000, 'nonsense'))).rejects.toMatchObject({ code: 'InvalidArgument' });
    await unchanged();
  });

  test('an archive with a damaged header', async () => {
    const damaged = archiveOf(good, { path: 'other', content: 'x' });
    damaged.write('damage', 1024 + 100);
    await expect(upload(damaged)).rejects.toMatchObject({ code: 'InvalidArgument' });
    await unchanged();
  });

  test('a compressed archive, which might unpack to more than anybody asked for', async () => {
    const { gzipSync } = await import('node:zlib');
    await expect(upload(gzipSync(archiveOf(good)))).rejects.toMatchObject({ code: 'InvalidArgument' });
    await expect(
      upload(Buffer.concat([Buffer.from('28b52ffd', 'hex'), Buffer.alloc(4096)])),
    ).rejects.toMatchObject({ code: 'InvalidArgument' });
    await unchanged();
  });

  test('an upload whose source fails, with the error of the source', async () => {
    async function* failing() {
      yield archiveOf(good, { path: 'part', content: 'x'.repeat(10_000) }).subarray(0, 5000);
      throw new Error('the disk was pulled out');
    }
    await expect(agent.guest.upload(destination, plainUpload, failing(), patience())).rejects.toThrow(
      'the disk was pulled out',
    );
    await eventually('it has been cleaned up', () => tree().length === 1);
    await unchanged();
  });

  test('an upload that is aborted', async () => {
    const stop = new AbortController();
    async function* endless() {
      yield archiveOf(good, { path: 'part', content: Buffer.alloc(1_000_000) }).subarray(0, 500_000);
      await eventually('it has begun to write', () => tree().length > 1);
      stop.abort(new Error('never mind'));
      yield Buffer.alloc(1000);
    }
    await expect(agent.guest.upload(destination, plainUpload, endless(), stop.signal)).rejects.toThrow(
      'never mind',
    );
    await eventually('it has been cleaned up', () => tree().length === 1);
    await unchanged();
  });
});

test('an upload that a shutdown overtakes fails and leaves nothing behind', async () => {
  const ending = await startAgent();
  async function* unfinished() {
    yield archiveOf({ path: 'part', content: Buffer.alloc(1_000_000) }).subarray(0, 500_000);
    await eventually('it has begun to write', async () => (await readdir(ending.home)).length > 0);
    await ending.guest.shutdown(patience());
    yield Buffer.alloc(1000);
  }
  await expect(ending.guest.upload('.', plainUpload, unfinished(), patience())).rejects.toMatchObject({
    code: 'Unavailable',
  });
  expect(await ending.ended).toBe(0);
  expect(await readdir(ending.home)).toEqual([]);
  await ending.stop();
});

test('what an upload has left whose agent was killed is cleared up by the next one', async () => {
  const killed = await startAgent();
  const into = join(killed.directory, 'elsewhere');
  await mkdir(into);
  async function* unfinished() {
    const entries = [
      { path: 'new/part', content: '' },
      { path: 'part', content: Buffer.alloc(1_000_000) },
    ];
    yield archiveOf(...entries).subarray(0, 500_000);
    await eventually('it has begun to write', async () => (await readdir(into)).length > 1);
    killed.child.kill('SIGKILL');
    await killed.ended;
    yield Buffer.alloc(1000);
  }
  await expect(killed.guest.upload(into, plainUpload, unfinished(), patience())).rejects.toMatchObject({
    code: 'Unavailable',
  });
  expect(await readdir(into)).toHaveLength(2);
  const next = startAgentAt(killed.socket, killed.home);
  await killed.guest.ping(patience());
  expect([...(await readdir(into)), ...(await readdir(killed.home))]).toEqual([]);
  next.child.kill('SIGKILL');
  await next.ended;
  await killed.stop();
});

test('an upload that the guest refuses early does not read its source to the end', async () => {
  let yielded = 0;
  async function* endless() {
    for (;;) {
      yielded += 1;
      yield Buffer.alloc(64 * 1024, 'nonsense');
    }
  }
  await expect(agent.guest.upload(destination, plainUpload, endless(), patience())).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
  const atEnd = yielded;
  await agent.guest.ping(patience());
  expect(yielded - atEnd).toBeLessThan(100);
});
