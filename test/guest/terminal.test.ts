import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExecOutput, GuestExec } from '../../src/guest/guest.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { begin, isAlive, patience, resultOf, run, sh } from '../support/guest-exec.ts';

const tty = { rows: 24, cols: 80 };
let agent: TestAgent;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
});
afterAll(() => agent.stop());

/** Reads on until the output so far matches. */
const expectOutput = async (outputs: AsyncIterator<ExecOutput>, pattern: RegExp): Promise<string> => {
  let seen = '';
  while (!pattern.test(seen)) {
    const next = await outputs.next();
    if (next.done === true || next.value.kind === 'exited') throw new Error(`${pattern} not in ${seen}`);
    if (next.value.kind === 'stdout') seen += Buffer.from(next.value.data);
  }
  return seen;
};

const type = (exec: GuestExec, text: string) => exec.send({ kind: 'stdin', data: Buffer.from(text) });

test('an interactive shell has a terminal of the size asked for, echoes, and gives its exit code', async () => {
  const exec = begin(agent.guest, { command: 'sh', tty: { rows: 33, cols: 101 } });
  const outputs = exec[Symbol.asyncIterator]();
  await type(exec, 'stty size; tty; echo $TERM\n');
  await expectOutput(outputs, /stty size.*33 101.*\/dev\/pts\/\d+.*xterm/s);
  await type(exec, 'exit 9\n');
  let last: ExecOutput | undefined;
  for (let next = await outputs.next(); next.done !== true; next = await outputs.next()) last = next.value;
  expect(last).toMatchObject({ kind: 'exited', exit: { kind: 'code', code: 9 } });
});

test('the program learns of a new size', async () => {
  const exec = begin(agent.guest, {
    ...sh('trap "stty size" WINCH; echo ready; while :; do sleep 0.1; done'),
    tty,
  });
  const outputs = exec[Symbol.asyncIterator]();
  await expectOutput(outputs, /ready/);
  for (let rows = 30; rows <= 50; rows += 1) await exec.send({ kind: 'resize', rows, cols: 132 });
  await expectOutput(outputs, /50 132/);
  await exec.send({ kind: 'signal', signal: 'SIGKILL' });
  for (let next = await outputs.next(); next.done !== true; next = await outputs.next())
    if (next.value.kind === 'exited') expect(next.value.exit).toEqual({ kind: 'code', code: 128 + 9 });
});

test('Ctrl-C interrupts what runs in the foreground, and not the shell', async () => {
  const exec = begin(agent.guest, { command: 'sh', args: ['-i'], tty, env: { PS1: 'prompt> ' } });
  const outputs = exec[Symbol.asyncIterator]();
  await type(exec, 'echo g""o; sleep 1000\n');
  await expectOutput(outputs, /go/);
  await type(exec, '\x03');
  await type(exec, 'echo and $((40 + 2))\n');
  await expectOutput(outputs, /and 42/);
  await type(exec, 'exit 0\n');
  await expectOutput(outputs, /exit/);
});

test('the end of input is the end of the terminal', async () => {
  const { stdout, exit } = await run(agent.guest, { command: 'cat', tty }, { input: 'a line\n' });
  expect(stdout).toBe('a line\r\na line\r\n');
  expect(exit).toEqual({ kind: 'code', code: 0 });
});

test('arguments and the SHELL of the exec arrive as they are', async () => {
  const args = ['-c', 'printf "%s|" "$@" "$SHELL"', 'sh', "it's", '$HOME', 'a b', '', '`x`'];
  const { stdout } = await run(agent.guest, { command: 'sh', args, tty, env: { SHELL: "/bin/o'x" } });
  expect(stdout).toBe("it's|$HOME|a b||`x`|/bin/o'x|");
});

test('its program and everything on it end with SIGHUP, as when a terminal is closed', async () => {
  const execId = randomIds.execId();
  const exec = begin(agent.guest, { ...sh('sleep 1000 & echo $! $$; wait'), tty }, { execId });
  const outputs = exec[Symbol.asyncIterator]();
  const pids = (await expectOutput(outputs, /\d+ \d+/)).trim().split(' ').map(Number);
  await outputs.return?.();
  await agent.guest.signalExec(execId, 'SIGHUP', patience());
  for (const pid of pids) await eventually(`${pid} is gone`, () => !isAlive(pid));
});

test('who attaches again finds the terminal as it was left, and may change its size', async () => {
  const execId = randomIds.execId();
  const first = begin(agent.guest, { command: 'sh', tty }, { execId });
  const outputs = first[Symbol.asyncIterator]();
  await type(first, 'there=kept\n');
  await expectOutput(outputs, /there=kept/);
  await outputs.return?.();
  const again = agent.guest.attachExec(execId, undefined, patience());
  const more = again[Symbol.asyncIterator]();
  await again.send({ kind: 'resize', rows: 40, cols: 111 });
  // the size is set beside what is typed, so it is asked for until it is there
  await type(again, 'echo is $there; until stty size | grep 111; do :; done\n');
  await expectOutput(more, /is kept.*40 111/s);
  await type(again, 'exit 3\n');
  expect(await resultOf({ [Symbol.asyncIterator]: () => more })).toMatchObject({ exit: { code: 3 } });
});

test('a shell that ignores SIGTERM is ended by the timeout', async () => {
  const result = await run(agent.guest, { command: 'sh', args: ['-i'], tty, timeoutMs: 300 });
  expect(result.timedOut).toBe(true);
  await eventually('the shell is gone', () => !isAlive(result.pid));
});

test('a box without script is told what to install', async () => {
  const bare = await startAgent({ PATH: agent.home });
  try {
    await expect(run(bare.guest, { command: '/bin/sh', tty })).rejects.toMatchObject({
      code: 'Unsupported',
      help: expect.stringContaining('Install util-linux'),
    });
  } finally {
    await bare.stop();
  }
});
