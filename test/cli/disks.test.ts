import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareDatabase } from '../../src/main/prepare-database.ts';
import { serve } from '../../src/main/serve.ts';
import { buildAgent } from '../support/agent-process.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type CliUnderTest, cli, jsonLines, startCli } from './in-process.ts';

/** Disks by the command line, on the server as it is: real Postgres, real processes in real boxes. */
let dataDir: string;
let database: TestDatabase;
let server: CliUnderTest | undefined;

beforeAll(async () => {
  await buildAgent();
  database = await createDatabase();
  await prepareDatabase(database.url, {}, pino({ level: 'silent' }));
  dataDir = await mkdtemp(join(tmpdir(), 'bl-cli-disks-'));
  const started = startCli(
    ['serve', '--json', '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--log-level', 'silent'],
    { env: { DATABASE_URL: database.url }, server: { serve } },
  );
  server = started;
  const early = await Promise.race([started.shown('"ready":true'), started.done]);
  if (early !== undefined) throw new Error(early.stderr);
});

afterAll(async () => {
  if (server === undefined) return;
  for (const box of jsonLines((await run('ls', '--json')).stdout) as { name: string }[])
    await run('rm', '-f', box.name);
  server.signal('SIGTERM');
  await server.done;
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const run = (...argv: string[]) =>
  cli([...argv], { env: { BOXLEDGER_DATA_DIR: dataDir }, workingDir: dataDir });
const wellDone = async (...argv: string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(...argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};
const inBox = (box: string, script: string) => wellDone('exec', box, 'sh', '-c', script);

test('what was written after a snapshot is gone once it is restored', async () => {
  await wellDone('create', 'kept', '--restart', 'no');
  await inBox('kept', 'echo one > note');
  expect(await wellDone('snapshot', 'create', 'kept', 'first')).toBe('first\n');
  await inBox('kept', 'echo two > note');
  expect((await run('snapshot', 'restore', 'kept', 'first')).stderr).toContain('Stop it first.');
  await wellDone('stop', 'kept');
  expect(await wellDone('snapshot', 'restore', 'kept', 'first')).toBe('kept\n');
  expect(await inBox('kept', 'cat note')).toBe('one\n');

  expect(await wellDone('snapshot', 'ls', 'kept')).toMatch(
    /^ +NAME .*\n\* +first +sn_\w{16} .* B +crash|file-system/,
  );
  expect(jsonLines(await wellDone('snapshot', 'ls', 'kept', '--json'))).toMatchObject([
    { name: 'first', parent: null },
  ]);
  expect(await wellDone('snapshot', 'inspect', 'kept', 'first')).toMatch(/^snapshotId: sn_.*\nname: first\n/);
  expect(await wellDone('inspect', 'kept')).toContain('standsOn: sn_');
  expect(await wellDone('snapshot', 'rm', 'kept', 'first')).toBe('first\n');
  expect(await wellDone('snapshot', 'ls', 'kept', '--json')).toBe('');
});

test('a clone of a box that runs has its files, and the two part from there', async () => {
  await wellDone('create', 'ewe', '-e', 'WHO=ewe');
  await inBox('ewe', 'echo shared > note');
  expect(await wellDone('clone', 'ewe', '-n', '2')).toBe('ewe-1\newe-2\n');
  expect(await inBox('ewe-1', 'cat note; echo $WHO; echo mine > note')).toBe('shared\newe\n');
  expect(await inBox('ewe', 'cat note')).toBe('shared\n');
  expect(await inBox('ewe-2', 'cat note')).toBe('shared\n');
  const taken = await run('clone', 'ewe', 'free', 'ewe-1');
  expect(taken).toMatchObject({ code: 125, stderr: expect.stringContaining('ewe-1') });
  expect((await run('inspect', 'free')).code).toBe(125);
});

test('a box is exported to a file and imported again, without the values of its environment', async () => {
  await wellDone('create', 'parcel', '-e', 'SECRET=s3cret', '-l', 'team=shop');
  await inBox('parcel', 'mkdir -p a/b && echo deep > a/b/note && ln -s a/b/note link');
  const said = JSON.parse(await wellDone('export', 'parcel', '-o', 'parcel.box', '--json')) as object;
  const bytes = await readFile(join(dataDir, 'parcel.box'));
  expect(said).toMatchObject({ file: 'parcel.box', sizeBytes: bytes.length });
  expect(bytes.includes('s3cret')).toBe(false);

  const id = (await wellDone('import', 'parcel.box', '--name', 'opened', '-e', 'NEW=1')).trim();
  expect(JSON.parse(await wellDone('inspect', id, '--json'))).toMatchObject({
    name: 'opened',
    state: 'stopped',
    options: { env: { NEW: '1' }, labels: { team: 'shop' } },
    origin: { kind: 'import', sizeBytes: bytes.length },
  });
  expect(await inBox('opened', 'cat link; echo "$SECRET$NEW"')).toBe('deep\n1\n');
});

test('an archive goes through pipes, and one that is cut short is refused with nothing made of it', async () => {
  await wellDone('create', 'piped');
  await inBox('piped', 'echo through > note');
  const exporting = startCli(['export', 'piped'], { env: { BOXLEDGER_DATA_DIR: dataDir }, unread: true });
  const chunks: Buffer[] = [];
  exporting.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  expect(await exporting.done).toMatchObject({ code: 0, stderr: '' });
  const archive = Buffer.concat(chunks);
  const importing = startCli(['import', '-', '--name', 'piped-2'], { env: { BOXLEDGER_DATA_DIR: dataDir } });
  importing.stdin.end(archive);
  expect(await importing.done).toMatchObject({ code: 0 });
  expect(await inBox('piped-2', 'cat note')).toBe('through\n');

  await writeFile(join(dataDir, 'cut.box'), archive.subarray(0, archive.length - 20));
  expect(await run('import', 'cut.box', '--name', 'cut')).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('not a good box archive'),
  });
  expect((await run('inspect', 'cut')).code).toBe(125);
  expect(await run('import', 'none.box')).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('ENOENT'),
  });
});

test('a box is restarted, renamed, and paused for so long', async () => {
  await wellDone(
    'create',
    'moved',
    '--max-lifetime',
    '1h',
    '--restart',
    'on-failure:3',
    '--health-interval',
    '10s',
  );
  await wellDone('start', 'moved');
  expect(await wellDone('restart', 'moved')).toBe('moved\n');
  expect(await wellDone('rename', 'moved', 'arrived')).toBe('arrived\n');
  await wellDone('pause', 'arrived', '--max-duration', '1d');
  expect(JSON.parse(await wellDone('inspect', 'arrived', '--json'))).toMatchObject({
    name: 'arrived',
    state: 'paused',
    generation: 2,
    pause: { until: expect.stringMatching(/^20/) },
    options: {
      maxLifetimeMs: 3_600_000,
      restart: { policy: 'on-failure', maxRetries: 3 },
      healthCheck: { command: [], intervalMs: 10_000, retries: 3 },
    },
  });
});

test('a box of create --rm is gone after its first run', async () => {
  const id = (await wellDone('create', 'fleeting', '--rm')).trim();
  await wellDone('start', 'fleeting');
  await run('stop', 'fleeting');
  expect(await wellDone('wait', id, '--state', 'removed', '--timeout', '30')).toBe('removed 0\n');
  expect(await wellDone('ls', '--json', '--filter', 'name=fleeting')).toBe('');
});

test('all that is wrong with the options is said at once', async () => {
  const { code, stderr } = await run(
    'create',
    ...[
      'x',
      '--restart',
      'sometimes',
      '--idle-timeout',
      '5',
      '--health-retries',
      '0',
      '--max-lifetime',
      '1x',
    ],
  );
  expect(code).toBe(125);
  for (const flag of ['--restart', '--idle-timeout', '--health-retries', '--max-lifetime'])
    expect(stderr).toContain(flag);
  expect((await run('clone', 'kept', 'a', '-n', '2')).stderr).toContain('--count');
  expect((await run('export', 'kept', '--json')).stderr).toContain('--json');
});

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));

test('bash completes commands, options, and names of boxes and snapshots', async () => {
  await wellDone('create', 'completed');
  await inBox('completed', 'true');
  await wellDone('snapshot', 'create', 'completed', 'completed-once');
  const path = join(dataDir, 'bin');
  await mkdir(path);
  await writeFile(join(path, 'boxledger'), `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`);
  await chmod(join(path, 'boxledger'), 0o755);
  const completions = async (...words: string[]) => {
    const script = `
      source <(boxledger completion bash)
      COMP_WORDS=(boxledger "$@"); COMP_CWORD=$#
      _boxledger; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const child = spawn('bash', ['-c', script, 'bash', ...words], {
      env: { ...process.env, PATH: `${path}:${process.env['PATH']}`, BOXLEDGER_DATA_DIR: dataDir },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await Promise.all([text(child.stdout), once(child, 'close')]);
    return said.trim().split('\n');
  };
  expect(await completions('snap')).toEqual(['snapshot']);
  expect(await completions('snapshot', 're')).toEqual(['restore']);
  expect(await completions('clone', '--reason', 'x', '--cou')).toEqual(['--count']);
  expect(await completions('stop', '--reason', 'why', 'comp')).toEqual(['completed']);
  expect(await completions('snapshot', 'restore', 'completed', '')).toEqual(['completed-once']);
  expect(await completions('serve', '')).toEqual(['']);
});
