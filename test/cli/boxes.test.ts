import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import type {
  CreateRequest,
  ListRequest,
  StopRequest,
  WaitRequest,
} from '../../src/gen/boxledger/v1/box_service.ts';
import { aBox, wireRefusal } from '../sdk/scripted-server.ts';
import { jsonLines } from './in-process.ts';
import { served } from './served.ts';

const noBox = (name: string) =>
  wireRefusal(status.NOT_FOUND, {
    code: 'NotFound',
    message: `There is no box ${name}.`,
    help: 'List the boxes.',
    details: { box: name },
  });

test('create sends every option and prints the id', async () => {
  let asked: CreateRequest | undefined;
  const { run } = await served({
    create: ({ request }, answer) => {
      asked = request;
      answer(null, { box: aBox(), created: true });
    },
  });
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-cli-'));
  const envFile = join(directory, 'env');
  await writeFile(envFile, '# comment\n\nA=file\nB=file\n');
  const outcome = await run(
    ...['create', 'web', '--cpus', '0.5', '--memory', '1g', '--env-file', envFile, '-e', 'B=x=y'],
    ...['-e', 'BOXLEDGER_ACTOR', '-e', 'NOT_SET', '--label', 'team=shop', '-l', 'plain', '--workdir', '/srv'],
    ...['--network', 'host', '--no-auto-start', '--get-or-create'],
    ...['--command-id', 'c-1', '--reason', 'because', '--expected-version', '0'],
  );
  await rm(directory, { recursive: true });
  expect(outcome).toEqual({ code: 0, stdout: 'bx_0123456789abcdef\n', stderr: '' });
  expect(asked).toMatchObject({
    name: 'web',
    getOrCreate: true,
    mutation: { commandId: 'c-1', reason: 'because', expectedVersion: 0n },
    options: {
      cpus: 0.5,
      memoryMib: 1024,
      env: { A: 'file', B: 'x=y', BOXLEDGER_ACTOR: 'ann' },
      labels: { team: 'shop', plain: '' },
      workingDir: '/srv',
      network: 'host',
      autoStart: false,
    },
  });
});

test('create leaves to the server what was not said', async () => {
  let asked: CreateRequest | undefined;
  const { run } = await served({
    create: ({ request }, answer) => {
      asked = request;
      answer(null, { box: aBox(), created: true });
    },
  });
  const { code, stdout } = await run('create', '--json');
  expect(code).toBe(0);
  expect(jsonLines(stdout)).toMatchObject([{ boxId: 'bx_0123456789abcdef', version: 3, exit: null }]);
  expect(asked).toMatchObject({ name: '', options: { env: {}, labels: {} } });
  for (const option of ['cpus', 'memoryMib', 'workingDir', 'network', 'autoStart'] as const)
    expect(asked?.options?.[option]).toBeUndefined();
});

test('every option that cannot be is named at once, and nothing is sent', async () => {
  const { run } = await served({});
  const { code, stdout, stderr } = await run(
    ...['create', '--cpus', 'two', '--memory', '512', '-e', '=x', '--env-file', '/nowhere'],
    ...['--command-id', 'a b', '--expected-version', '-1'],
  );
  expect(code).toBe(125);
  expect(stdout).toBe('');
  for (const flag of ['--cpus', '--memory', '--env', '--env-file', '--command-id', '--expected-version'])
    expect(stderr).toContain(`  ${flag}: `);
  expect(stderr).toContain('boxledger create --help');
});

test('an empty name is a mistake, where none at all asks for one to be made up', async () => {
  const { run } = await served({});
  const { code, stderr } = await run('create', '', '--cpus', 'two');
  expect(code).toBe(125);
  for (const field of ['name', '--cpus']) expect(stderr).toContain(`  ${field}: `);
  expect((await run('run', '--name', '', 'true')).stderr).toContain('--name: must not be empty');
});

test.each([
  ['512m', 512],
  ['512MiB', 512],
  ['1.5g', 1536],
  ['2048k', 2],
  ['1T', 1_048_576],
])('a memory of %s is %d MiB', async (text, mib) => {
  let asked: CreateRequest | undefined;
  const { run } = await served({
    create: ({ request }, answer) => {
      asked = request;
      answer(null, { box: aBox(), created: true });
    },
  });
  expect((await run('create', '--memory', text)).code).toBe(0);
  expect(asked?.options?.memoryMib).toBe(mib);
});

test('several boxes are changed, each printed as it was called, and one that fails stops none', async () => {
  const asked: StopRequest[] = [];
  const { run } = await served({
    stop: ({ request }, answer) => {
      asked.push(request);
      if (request.box === 'gone') answer(noBox('gone'));
      else answer(null, { box: aBox({ state: 'stopped' }) });
    },
  });
  const outcome = await run('stop', '-t', '2.5', 'a', 'gone', 'b');
  expect(outcome).toEqual({
    code: 125,
    stdout: 'a\nb\n',
    stderr: 'boxledger: There is no box gone.\nList the boxes.\n',
  });
  expect(asked.map(({ timeoutMs, wait }) => [timeoutMs, wait])).toEqual(Array(3).fill([2500, true]));
  expect(new Set(asked.map(({ mutation }) => mutation?.commandId)).size).toBe(3);
});

test('each change asks its own call and waits unless told not to', async () => {
  const asked: unknown[] = [];
  const answered =
    (name: string) =>
    (
      { request }: { request: object },
      answer: (error: null, response: { box: ReturnType<typeof aBox> }) => void,
    ) => {
      asked.push([name, 'wait' in request && request.wait, 'force' in request && request.force]);
      answer(null, { box: aBox() });
    };
  const { run } = await served({
    start: answered('start'),
    pause: answered('pause'),
    resume: answered('resume'),
    remove: answered('remove'),
  });
  for (const argv of [
    ['start', 'a'],
    ['pause', 'a', '--no-wait'],
    ['resume', 'a'],
    ['rm', '-f', 'a'],
  ])
    expect((await run(...argv)).code).toBe(0);
  expect(asked).toEqual([
    ['start', true, false],
    ['pause', false, false],
    ['resume', true, false],
    ['remove', true, true],
  ]);
});

test('a command id or a version fits one box only', async () => {
  const { run } = await served({});
  const { code, stderr } = await run('start', 'a', 'b', '--command-id', 'c', '--expected-version', '3');
  expect(code).toBe(125);
  expect(stderr).toContain('--command-id: fits one box only');
  expect(stderr).toContain('--expected-version: fits one box only');
});

test('with --json errors are JSON too, with everything the server said', async () => {
  const { run } = await served({ get: (_, answer) => answer(noBox('gone')) });
  const { code, stdout, stderr } = await run('inspect', 'gone', '--json');
  expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
  expect(jsonLines(stderr)).toEqual([
    {
      error: {
        code: 'NotFound',
        message: 'There is no box gone.',
        help: 'List the boxes.',
        faults: [],
        details: { box: 'gone' },
      },
    },
  ]);
});

test('every fault that the server names is on a line of its own, control characters made visible', async () => {
  const { run } = await served({
    create: (_, answer) =>
      answer(
        wireRefusal(status.INVALID_ARGUMENT, {
          code: 'InvalidArgument',
          message: '2 faults: …',
          faults: [
            { field: 'name', problem: 'is \u001b[31mred' },
            { field: 'options.cpus', problem: 'too small' },
          ],
        }),
      ),
  });
  expect((await run('create')).stderr).toBe(
    'boxledger: 2 faults:\n  name: is \\x1b[31mred\n  options.cpus: too small\n',
  );
});

test('ls goes through all pages and shows a table', async () => {
  const asked: ListRequest[] = [];
  const { run } = await served({
    list: ({ request }, answer) => {
      asked.push(request);
      const boxes =
        request.pageToken === ''
          ? [aBox({ createdAt: new Date(Date.now() - 7_500_000) })]
          : [
              aBox({
                boxId: 'bx_fedcba9876543210',
                name: 'database',
                state: 'stopped',
                exit: { how: { $case: 'signal', value: 'SIGKILL' } },
                createdAt: new Date(),
              }),
            ];
      boxes[0] = { ...aBox(boxes[0]), options: { env: {}, labels: { evil: 'a\u001b[2Jb\nc' } } };
      answer(null, { boxes, nextPageToken: request.pageToken === '' ? 'p2' : '' });
    },
  });
  const { code, stdout } = await run(
    'ls',
    '--filter',
    'state=running',
    '--filter',
    'state=stopped',
    '-f',
    'label=a=b=c',
    '-f',
    'name=w',
  );
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^BOX ID {15}NAME {6}STATE {4}HEALTH {2}CREATED/);
  expect(lines[1]).toContain('2 hours ago');
  expect(lines[1]).toContain('evil=a\\x1b[2Jb\\nc');
  expect(lines[2]).toMatch(/^bx_fedcba9876543210 {2}database {2}stopped .*SIGKILL/);
  expect(asked[0]).toMatchObject({
    states: ['running', 'stopped'],
    labels: { a: 'b=c' },
    namePrefix: 'w',
    includeRemoved: false,
  });
  expect(asked[1]?.pageToken).toBe('p2');
});

test('ls gives an object a line with --json, ids with -q, and no more than its limit', async () => {
  const asked: ListRequest[] = [];
  const { run } = await served({
    list: ({ request }, answer) => {
      asked.push(request);
      answer(null, { boxes: [aBox({ name: 'a' }), aBox({ name: 'b' })], nextPageToken: 'more' });
    },
  });
  const { stdout } = await run('ls', '--json', '--limit', '3', '--all');
  expect(jsonLines(stdout)).toMatchObject([{ name: 'a' }, { name: 'b' }, { name: 'a' }]);
  expect(asked[0]).toMatchObject({ includeRemoved: true, pageSize: 3 });
  expect(asked).toHaveLength(2);
  expect((await run('ls', '-q', '-n', '1')).stdout).toBe('bx_0123456789abcdef\n');
  expect((await run('ls', '--limit', '0', '--filter', 'colour=red')).stderr).toMatch(/--filter:.*--limit:/s);
});

test('ls of nothing is its headings', async () => {
  const { run } = await served({ list: (_, answer) => answer(null, { boxes: [], nextPageToken: '' }) });
  expect((await run('ls')).stdout).toMatch(/^BOX ID .*\n$/);
  expect((await run('ls', '--json')).stdout).toBe('');
});

test('inspect shows all fields, as lines or as JSON that has every field', async () => {
  const box = aBox({
    version: 9_007_199_254_740_993n,
    process: { pid: 42, startTime: '123', bootId: 'b' },
    exit: { how: { $case: 'code', value: 3 } },
    failure: { code: 'Unavailable', message: 'guest\u0007 silent', detailsJson: '{"console":"x"}' },
    startedAt: new Date('2026-11-25T12:00:01.000Z'),
  });
  const { run } = await served({ get: (_, answer) => answer(null, { box }) });
  const { stdout } = await run('inspect', 'web');
  expect(stdout).toContain('name: web\n');
  expect(stdout).toContain('process:\n  pid: 42\n');
  expect(stdout).toContain('guest\\x07 silent');
  expect(stdout).not.toContain('bracket');
  expect(jsonLines((await run('inspect', 'web', '--json')).stdout)).toMatchObject([
    {
      name: 'web',
      bracket: null,
      version: '9007199254740993',
      exit: { kind: 'code', code: 3 },
      failure: { code: 'Unavailable', details: { console: 'x' } },
      createdAt: '2026-11-25T12:00:00.000Z',
      startedAt: '2026-11-25T12:00:01.000Z',
      stoppedAt: null,
    },
  ]);
});

test('wait asks for the states and prints the one that came, with the exit', async () => {
  const asked: WaitRequest[] = [];
  const { run } = await served({
    wait: ({ request }, answer) => {
      asked.push(request);
      answer(null, { box: aBox({ state: 'stopped', exit: { how: { $case: 'code', value: 7 } } }) });
    },
  });
  expect(await run('wait', 'web')).toEqual({ code: 0, stdout: 'stopped 7\n', stderr: '' });
  await run('wait', 'web', '--state', 'running', '--state', 'paused');
  expect(asked.map(({ states }) => states)).toEqual([
    ['stopped', 'failed', 'removed'],
    ['running', 'paused'],
  ]);
});

test('a wait that lasts longer than allowed is boxledger’s own failure', async () => {
  const { run } = await served({ wait: () => undefined });
  const { code, stderr } = await run('wait', 'web', '--timeout', '0.05');
  expect(code).toBe(125);
  expect(stderr).toContain('did not answer in time');
});

test('Ctrl-C ends a wait, cancels the call and says nothing', async () => {
  let cancelled: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  let arrived: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const { start } = await served({
    wait: (call) => {
      call.on('cancelled', () => cancelled());
      arrived();
    },
  });
  const command = start(['wait', 'web']);
  await waiting;
  command.signal('SIGINT');
  expect(await command.done).toEqual({ code: 130, stdout: '', stderr: '' });
  await heard;
  expect(command.handlers()).toBe(0);
});
