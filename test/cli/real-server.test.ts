import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonLines } from './in-process.ts';
import { type RealServer, startRealServer } from './real-server.ts';

/** The command line against the server as it is. */
let server: RealServer;
beforeAll(async () => {
  server = await startRealServer();
});
afterAll(() => server.stop());

const run = (...argv: string[]) => server.run(...argv);

test('a box lives its life by the command line, and its events tell of it', async () => {
  const created = await run('create', 'life', '-e', 'WHO=ann', '-l', 'team=shop', '--reason', 'to see');
  expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^bx_[0-9a-z]{16}\n$/) });
  const id = created.stdout.trim();

  expect(await run('start', 'life')).toMatchObject({ code: 0, stdout: 'life\n' });
  expect(await run('exec', 'life', 'sh', '-c', 'echo "hello $WHO"; echo oops >&2; exit 7')).toEqual({
    code: 7,
    stdout: 'hello ann\n',
    stderr: 'oops\n',
  });
  expect((await run('pause', id.slice(0, 12))).code).toBe(0);
  expect(await run('exec', 'life', 'true')).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('paused'),
  });
  expect((await run('resume', 'life')).code).toBe(0);
  expect((await run('ls', '--filter', 'label=team=shop', '-q')).stdout).toBe(`${id}\n`);
  expect((await run('stop', 'life')).code).toBe(0);
  expect((await run('wait', 'life')).stdout).toMatch(/^stopped /);
  expect((await run('rm', 'life')).code).toBe(0);
  expect((await run('inspect', 'life')).code).toBe(125);

  const events = jsonLines((await run('events', id, '--json')).stdout) as { type: string; reason: string }[];
  expect(events.map(({ type }) => type)).toEqual([
    'box.created',
    'box.startRequested',
    'box.started',
    'box.pauseRequested',
    'box.paused',
    'box.resumeRequested',
    'box.resumed',
    'box.stopRequested',
    'box.stopped',
    'box.removeRequested',
    'box.removed',
  ]);
  expect(events[0]?.reason).toBe('to see');
});

test('run gives the program’s output and exit code, and 126 and 127 where it cannot be run', async () => {
  expect(await run('run', '--rm', 'sh', '-c', 'echo out; exit 3')).toEqual({
    code: 3,
    stdout: 'out\n',
    stderr: '',
  });
  const name = 'codes';
  expect((await run('run', '--name', name, 'true')).code).toBe(0);
  expect((await run('exec', name, 'nonesuch')).code).toBe(127);
  expect((await run('exec', name, '/etc/passwd')).code).toBe(126);
  expect((await run('exec', name, 'sh', '-c', 'kill -TERM $$')).code).toBe(143);
  expect((await run('rm', '-f', name)).code).toBe(0);
});

test('a program of run -d goes on after the command, until its box stops', async () => {
  const name = 'behind';
  expect((await run('run', '-d', '--name', name, 'sh', '-c', 'echo up; exec sleep 1000')).code).toBe(0);
  const attached = server.start(['attach', '--no-stdin', name]);
  await attached.shown('up\n');
  expect((await run('stop', name)).code).toBe(0);
  expect((await run('rm', name)).code).toBe(0);
});

test('input of any size goes through a program and back', async () => {
  const command = server.start(['run', '--rm', '-i', 'cat']);
  const piped = `${'0123456789abcde\n'.repeat(65_536)}end`;
  command.stdin.end(piped);
  const { code, stdout } = await command.done;
  expect({ code, isWhole: stdout === piped }).toEqual({ code: 0, isWhole: true });
});

test('the same command id twice makes one box, and every bad option is named at once', async () => {
  const once = await run('create', 'twice', '--command-id', 'make-it');
  expect(await run('create', 'twice', '--command-id', 'make-it')).toEqual(once);
  const { code, stderr } = await run('create', 'a b', '--cpus', '0', '--memory', '1m');
  expect(code).toBe(125);
  for (const field of ['name', 'cpus', 'memory']) expect(stderr).toContain(field);
});

test('what inspect said of a box is what inspect --at says later, and explain said what would come', async () => {
  await run('create', 'past');
  const said: string[] = [];
  const inspect = async () => said.push((await run('inspect', 'past', '--json')).stdout);
  await inspect();
  expect((await run('explain', 'past', 'start')).stdout).toMatch(
    /^would be accepted: configured → starting\n/,
  );
  await run('start', 'past');
  await inspect();
  expect((await run('explain', 'past', 'rm')).code).toBe(1);
  await run('stop', 'past', '--reason', 'enough');
  await inspect();
  for (const [index, version] of ['1', '3', '5'].entries())
    expect((await run('inspect', 'past', '--at', version, '--json')).stdout).toBe(said[index]);
  expect((await run('diff', 'past', '3')).stdout).toContain('state      running → stopped');
  expect((await run('why', 'past')).stdout).toMatch(
    /asked, because "enough".*vm\.shutdown.*attempt 1.*box\.stopped/s,
  );
  expect((await run('ls', '--at', 'now', '--filter', 'name=past', '-q')).stdout).toMatch(/^bx_/);
});
