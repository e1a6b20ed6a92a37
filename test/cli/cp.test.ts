import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { archiveOf, listing, type TestEntry } from '../support/archive.ts';
import { eventually } from '../support/eventually.ts';
import { jsonLines } from './in-process.ts';
import { type RealServer, startRealServer } from './real-server.ts';
import { served } from './served.ts';

/** Directory that the commands are given their local paths from. */
let here: string;
beforeEach(async () => {
  here = await mkdtemp(join(tmpdir(), 'boxledger-cp-'));
});
afterEach(() => rm(here, { recursive: true }));

const tree = (path: string) =>
  execFileSync('find', ['.', '-printf', '%p %m %y %T@ %l\n'], { cwd: path, encoding: 'utf8' })
    .split('\n')
    .sort();

describe('with a real box', () => {
  let server: RealServer;
  beforeAll(async () => {
    server = await startRealServer();
    await server.run('run', '--name', 'web', 'true');
  });
  afterAll(() => server.stop());

  const cp = (...argv: string[]) => server.start(['cp', ...argv], { workingDir: here }).done;
  const inBox = async (script: string) => (await server.run('exec', 'web', 'sh', '-c', script)).stdout;
  afterEach(() => inBox('chmod -R u+w . 2>/dev/null; rm -rf ./*'));
  const done = { code: 0, stdout: '', stderr: '' };

  test('a tree goes in and comes out with its modes, times, links and empty directories', async () => {
    await mkdir(join(here, 'site/empty'), { recursive: true });
    await writeFile(join(here, 'site/run'), '#!/bin/sh\n', { mode: 0o750 });
    await symlink('../run', join(here, 'site/empty/link'));
    await chmod(join(here, 'site/empty'), 0o555);
    execFileSync('find', ['.', '-exec', 'touch', '-hd', '2020-02-03 04:05:06', '{}', '+'], { cwd: here });
    expect(await cp('site', 'web:site')).toEqual(done);
    expect(await cp('web:site', 'back')).toEqual(done);
    expect(tree(join(here, 'back'))).toEqual(tree(join(here, 'site')));
    for (const name of ['site', 'back']) await chmod(join(here, name, 'empty'), 0o755);
  });

  test('where things go is as with Docker', async () => {
    await mkdir(join(here, 'd'));
    await writeFile(join(here, 'd/f'), 'x');
    await cp('d', 'web:one'); // becomes it
    await cp('d', 'web:one'); // goes into it
    await cp('d/.', 'web:two'); // what is in it
    await cp('d/f', 'web:two/g');
    await cp('d/f', 'web:two/');
    expect((await cp('d/f', 'web:none/')).stderr).toContain('none is no directory');
    expect((await cp('d', 'web:none/deep')).stderr).toContain('none is no directory');
    expect((await cp('d', 'web:two/g')).code).toBe(125);
    expect(await inBox('find . -type f | sort')).toBe('./one/d/f\n./one/f\n./two/f\n./two/g\n');
    await cp('web:one/.', 'out');
    await cp('web:two/g', 'd');
    expect((await readdir(here, { recursive: true })).sort()).toEqual(
      ['d', 'd/f', 'd/g', 'out', 'out/d', 'out/d/f', 'out/f'].sort(),
    );
  });

  test('- is a tar archive, in both directions', async () => {
    const tar = server.start(['cp', '-', 'web:from-stdin'], { workingDir: here });
    tar.stdin.end(archiveOf({ path: 'a/f', content: 'x' }));
    expect(await tar.done).toEqual(done);
    const { stdout } = await cp('web:from-stdin/a', '-');
    const archive = (async function* () {
      yield Buffer.from(stdout);
    })();
    expect(await listing(archive)).toEqual({ 'a/': '/', 'a/f': 'x' });
  });

  test('a link is copied as a link, and with -L what it leads to', async () => {
    await inBox('echo x > f; ln -s f l');
    await cp('web:l', 'link');
    await cp('-L', 'web:l', 'followed');
    expect((await lstat(join(here, 'link'))).isSymbolicLink()).toBe(true);
    expect(await readFile(join(here, 'followed'), 'utf8')).toBe('x\n');
    await symlink('followed', join(here, 'to-followed'));
    await cp('-L', 'to-followed', 'web:again');
    expect(await inBox('test ! -L again && cat again')).toBe('x\n');
  });

  test('a link that leads out of what is copied is not made on this machine', async () => {
    await inBox('mkdir d; ln -s /etc/passwd d/l');
    const { code, stderr } = await cp('web:d', 'd');
    expect({ code, stderr }).toMatchObject({ code: 125, stderr: expect.stringContaining('absolute path') });
    expect(await readdir(here)).toEqual([]);
  });

  test('with --no-overwrite what is there stays, on either side', async () => {
    await writeFile(join(here, 'f'), 'mine');
    await inBox('echo theirs > f');
    expect((await cp('--no-overwrite', 'f', 'web:f')).stderr).toContain('is there already');
    expect((await cp('--no-overwrite', 'web:f', 'f')).stderr).toContain('is there already');
    expect([await inBox('cat f'), await readFile(join(here, 'f'), 'utf8')]).toEqual(['theirs\n', 'mine']);
  });

  test('from box to box without a stop on this machine', async () => {
    await server.run('run', '--name', 'other', 'true');
    await inBox('mkdir d; echo x > d/f');
    expect(await cp('web:d', 'other:e')).toEqual(done);
    expect((await server.run('exec', 'other', 'cat', 'e/f')).stdout).toBe('x\n');
  });

  test('the log tells of it, and repeating it under its command id copies once', async () => {
    await writeFile(join(here, 'f'), 'first');
    const flags = ['--json', '--command-id', 'deploy-7', '--reason', 'release 7'];
    const first = await cp(...flags, 'f', 'web:f');
    await inBox('echo changed > f');
    expect(await cp(...flags, 'f', 'web:f')).toEqual(first);
    expect(await inBox('cat f')).toBe('changed\n');
    const [told] = jsonLines(first.stdout) as [{ copyId: string }];
    expect(told).toEqual({ entries: 1, bytes: 5, copyId: expect.stringMatching(/^cp_/) });
    const events = await server.run('events', '--stream', `copy/${told.copyId}`, '--json');
    expect(jsonLines(events.stdout)).toMatchObject([{ type: 'copy.completed', reason: 'release 7' }]);
  });

  test('Ctrl-C leaves nothing in the box', async () => {
    const stopped = server.start(['cp', '-', 'web:part'], { workingDir: here });
    stopped.stdin.write(archiveOf({ path: 'f', content: Buffer.alloc(1_000_000, 'x') }).subarray(0, 500_000));
    await eventually('it has begun', async () => (await inBox('ls -A')).includes('.boxledger-copy-'));
    stopped.signal('SIGINT');
    expect((await stopped.done).code).toBe(130);
    await eventually('it has been cleaned up', async () => (await inBox('ls -A')) === '');
  });

  test('what is not there is told before anything is asked of the box', async () => {
    expect(await cp('none', 'web:x')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('none is not there'),
    });
    expect((await cp('web:none', 'x')).stderr).toContain('none is not there');
    expect((await cp('web:none/', '.')).code).toBe(125);
  });
});

describe('with a box that has been taken over', () => {
  const good: TestEntry = { path: 'd/good', content: 'x' };
  const archives: Record<string, readonly TestEntry[]> = {
    'a path that goes up': [{ path: '../evil', content: 'x' }],
    'a path that goes up below the first entry': [good, { path: 'd/../../evil', content: 'x' }],
    'an absolute path': [{ path: '/tmp/boxledger-evil', content: 'x' }],
    'a second root': [good, { path: 'evil', content: 'x' }],
    'a link to an absolute path': [good, { path: 'd/l', type: 'SymbolicLink', linkpath: '/etc' }],
    'a link that goes up': [good, { path: 'd/l', type: 'SymbolicLink', linkpath: '../..' }],
    'a file through a link of its own': [
      good,
      { path: 'd/s/', type: 'Directory' },
      { path: 'd/l', type: 'SymbolicLink', linkpath: 's' },
      { path: 'd/l/evil', content: 'x' },
    ],
    'a hard link to a file of this machine': [good, { path: 'd/h', type: 'Link', linkpath: '../secret' }],
    'a device': [good, { path: 'd/dev', type: 'CharacterDevice' }],
  };
  const sending = (archive: Uint8Array, isCut = false) =>
    served({
      copyOut: (call) => {
        call.write({ tar: Buffer.from(archive) });
        if (isCut) call.emit('error', { code: 14, details: 'cut' });
        else call.end();
      },
    });
  const unchanged = async () => {
    expect(await readdir(here)).toEqual(['secret']);
    await expect(lstat('/tmp/boxledger-evil')).rejects.toMatchObject({ code: 'ENOENT' });
  };
  beforeEach(() => writeFile(join(here, 'secret'), 'secret'));

  test.each(Object.entries(archives))('%s writes nothing', async (_name, entries) => {
    const { run } = await sending(archiveOf(...entries));
    expect((await run('cp', 'web:d', join(here, 'd'))).code).toBe(125);
    await unchanged();
    expect((await run('cp', 'web:d', here)).code).toBe(125);
    await unchanged();
  });

  test.each([
    ['that ends early, though the server says it is whole', 1024, false],
    ['in the middle of a file, with the call', 800, true],
    ['between two files, with the call', 1024, true],
  ])('an archive %s writes nothing', async (_name, length, isCut) => {
    const { run } = await sending(
      archiveOf(good, { path: 'd/other', content: 'x' }).subarray(0, length),
      isCut,
    );
    expect((await run('cp', 'web:d', join(here, 'd'))).code).toBe(125);
    await unchanged();
  });

  test('Ctrl-C in the middle of a file writes nothing', async () => {
    const { start } = await served({
      copyOut: (call) => {
        call.write({
          tar: archiveOf({ path: 'f', content: Buffer.alloc(100_000, 'x') }).subarray(0, 50_000),
        });
      },
    });
    const command = start(['cp', 'web:f', here]);
    await eventually('it has begun', async () => (await readdir(here)).length > 1);
    command.signal('SIGINT');
    expect((await command.done).code).toBe(130);
    await unchanged();
  });
});

describe('the command line', () => {
  test.each([
    [['web:', 'x'], 'must name a path after the colon'],
    [[':x', 'y'], 'must name a box before the colon'],
    [['', 'web:x'], 'must not be empty'],
    [['a', 'b'], 'must be in a box'],
    [['./a:b', '/c:d'], 'must be in a box'],
    [['-', '-'], 'must be in a box'],
    [['--command-id', 'x', 'web:a', 'b'], 'is for copies into a box'],
    [['--json', 'web:a', '-'], 'has no place where the archive goes'],
  ])('%j is refused: %s', async (argv, problem) => {
    const { run } = await served({});
    const { code, stderr } = await run('cp', ...argv);
    expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining(problem) });
  });

  test('a terminal is no place for an archive', async () => {
    const { start } = await served({});
    for (const argv of [
      ['cp', '-', 'web:x'],
      ['cp', 'web:x', '-'],
    ])
      expect((await start(argv, { tty: true }).done).stderr).toContain('is a terminal');
  });

  test('a terminal is shown how far it is and what was copied, unless it is to be quiet', async () => {
    const { start } = await served({
      copyIn: (call, answer) => {
        call.resume();
        call.on('end', () => answer(null, { entries: 1n, bytes: 2048n, copyId: 'cp_1' }));
      },
    });
    await writeFile(join(here, 'f'), Buffer.alloc(2048));
    const shown = await start(['cp', join(here, 'f'), 'web:f'], { tty: true }).done;
    expect(shown.stderr).toContain('a second');
    expect(shown.stderr).toMatch(/copied 1 entry, 2\.0 KiB\n$/);
    expect((await start(['cp', '-q', join(here, 'f'), 'web:f'], { tty: true }).done).stderr).toBe('');
  });

  test('what is asked of the server is what was said', async () => {
    const asked: unknown[] = [];
    const { run } = await served({
      copyIn: (call, answer) => {
        call.on('data', ({ message }) => message.$case === 'header' && asked.push(message.value));
        call.on('end', () => answer(null, { entries: 1n, bytes: 1n, copyId: 'cp_1' }));
      },
      copyOut: (call) => {
        asked.push(call.request);
        call.end();
      },
    });
    await writeFile(join(here, 'f'), 'x');
    await run('cp', '-a', '--no-overwrite', '--no-auto-start', '--reason', 'r', join(here, 'f'), 'web:/srv/');
    await run('cp', '-L', '--reason', 'r', 'web:logs/.', '-');
    const into = { path: '/srv/', overwrite: false, renameRoot: true, keepOwners: true, autoStart: false };
    expect(asked).toMatchObject([
      { box: 'web', ...into, mutation: { reason: 'r' } },
      { box: 'web', path: 'logs/.', followSource: true, includeParent: false, reason: 'r' },
    ]);
  });
});
