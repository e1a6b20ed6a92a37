import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomIds } from '../../src/main/random-ids.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { begin, isAlive, patience, resultOf, sh } from '../support/guest-exec.ts';

let agent: TestAgent;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
});
afterAll(() => agent.stop());

const kib = 1024;
const attach = (execId: ReturnType<typeof randomIds.execId>, offset?: number) =>
  agent.guest.attachExec(execId, offset, patience());

/** Runs a program, and leaves it once it has written what is waited for. */
const begun = async (script: string, seen: string) => {
  const execId = randomIds.execId();
  const outputs = begin(agent.guest, sh(script), { execId })[Symbol.asyncIterator]();
  let stdout = '';
  while (!stdout.includes(seen)) {
    const { value } = await outputs.next();
    if (value.kind === 'stdout') stdout += Buffer.from(value.data);
  }
  await outputs.return?.();
  return { execId, stdout };
};

describe('a program whose caller has gone', () => {
  test('goes on, its input stays open, and who attaches says what comes next', async () => {
    const { execId } = await begun('echo one; read line; echo got $line; cat', 'one');
    const again = attach(execId);
    await again.send({ kind: 'stdin', data: Buffer.from('two\nthree') });
    await again.send({ kind: 'end' });
    expect(await resultOf(again)).toMatchObject({ stdout: 'one\ngot two\nthree', exit: { code: 0 } });
  });

  test('goes on also when the caller’s signal fired', async () => {
    const execId = randomIds.execId();
    const stop = new AbortController();
    const exec = begin(agent.guest, { command: 'sleep', args: ['1000'] }, { execId, signal: stop.signal });
    const reason = new Error('no longer wanted');
    await expect(async () => {
      for await (const output of exec) if (output.kind === 'started') stop.abort(reason);
    }).rejects.toBe(reason);
    const { pid, end } = await agent.guest.inspectExec(execId, patience());
    expect({ isAlive: isAlive(pid), end }).toEqual({ isAlive: true, end: undefined });
    await agent.guest.signalExec(execId, 'SIGKILL', patience());
    await agent.guest.waitExec(execId, patience());
  });

  test('is not held back: it comes to its end although nobody reads', async () => {
    const { execId } = await begun('echo go; head -c 50000000 /dev/zero; exit 4', 'go');
    expect(await agent.guest.waitExec(execId, patience())).toMatchObject({
      exit: { kind: 'code', code: 4 },
      stdoutBytes: 50_000_003,
      stderrBytes: 0,
    });
  });
});

describe('who attaches again', () => {
  test('has lost nothing of up to 256 KiB', async () => {
    const size = 256 * kib - 3;
    const { execId } = await begun(`echo go; head -c ${size} /dev/zero | tr '\\0' x`, 'go');
    await agent.guest.waitExec(execId, patience());
    const { stdout, skippedBytes } = await resultOf(attach(execId));
    expect(skippedBytes).toBe(0);
    expect(stdout).toBe(`go\n${'x'.repeat(size)}`);
  });

  test('is told how much is lost of more, and gets the last 256 KiB', async () => {
    const size = 5_000_000;
    const script = `echo go; read wait; head -c ${size} /dev/zero; echo the end`;
    const { execId } = await begun(script, 'go');
    const again = attach(execId);
    await again.send({ kind: 'stdin', data: Buffer.from('\n') });
    for await (const output of again) if (output.kind === 'started') break;
    await agent.guest.waitExec(execId, patience());
    const rest = await resultOf(attach(execId, 3));
    expect(rest.skippedBytes).toBeGreaterThan(0);
    expect(rest.skippedBytes + rest.stdoutBytes).toBe(size + 'the end\n'.length);
    expect(rest.stdoutBytes).toBeGreaterThanOrEqual(256 * kib);
    expect(rest.stdoutBytes).toBeLessThan(320 * kib);
    expect(rest.stdout.endsWith('\0the end\n')).toBe(true);
  });

  test('gets nothing twice when it says what it has', async () => {
    const { execId, stdout } = await begun('echo one; read wait; echo two', 'one');
    const again = attach(execId, stdout.length);
    await again.send({ kind: 'end' });
    expect(await resultOf(again)).toMatchObject({ stdout: 'two\n', skippedBytes: 0 });
    expect(await resultOf(attach(execId, 1_000_000))).toMatchObject({ stdout: '', exit: { code: 0 } });
  });

  test('gets both streams apart, in the order in which they were written', async () => {
    const script = 'for i in 1 2 3; do echo out$i; sleep 0.05; echo err$i >&2; sleep 0.05; done';
    const { execId } = await begun(script, 'out1');
    await agent.guest.waitExec(execId, patience());
    let order = '';
    for await (const output of attach(execId)) if ('data' in output) order += Buffer.from(output.data);
    expect(order).toBe('out1\nerr1\nout2\nerr2\nout3\nerr3\n');
  });

  test('may do so many at once, and each gets everything', async () => {
    const { execId } = await begun('echo go; read wait; head -c 3000000 /dev/zero; exit 6', 'go');
    const attached = Array.from({ length: 5 }, () => attach(execId));
    const results = attached.map((exec) => resultOf(exec, { keepOutput: false }));
    await attached[0]?.send({ kind: 'end' });
    for (const { stdoutBytes, skippedBytes, exit } of await Promise.all(results))
      expect({ stdoutBytes, skippedBytes, exit }).toEqual({
        stdoutBytes: 3_000_003,
        skippedBytes: 0,
        exit: { kind: 'code', code: 6 },
      });
  });

  test('is told that an exec is not known', async () => {
    const unknown = randomIds.execId();
    await expect(resultOf(attach(unknown))).rejects.toMatchObject({ code: 'NotFound' });
    await expect(agent.guest.inspectExec(unknown, patience())).rejects.toMatchObject({ code: 'NotFound' });
    await expect(agent.guest.waitExec(unknown, patience())).rejects.toMatchObject({ code: 'NotFound' });
    await expect(agent.guest.signalExec(unknown, 'SIGTERM', patience())).rejects.toMatchObject({
      code: 'NotFound',
    });
  });
});

test('five that wait for one exec all get the same end', async () => {
  const { execId } = await begun('echo go; read wait; exit 9', 'go');
  const waiting = Array.from({ length: 5 }, () => agent.guest.waitExec(execId, patience()));
  await attach(execId).send({ kind: 'end' });
  const ends = await Promise.all(waiting);
  expect(ends[0]).toMatchObject({ exit: { kind: 'code', code: 9 }, timedOut: false });
  for (const end of ends) expect(end).toEqual(ends[0]);
});

test('a detached program finds its input at its end, and is known afterwards', async () => {
  const execId = randomIds.execId();
  const spec = { command: 'sh', args: ['-c', 'cat; echo done'], env: {} };
  const pid = await agent.guest.startExec(execId, spec, { env: {}, workingDir: undefined }, patience());
  expect(pid).toBeGreaterThan(0);
  await agent.guest.waitExec(execId, patience());
  expect(await resultOf(attach(execId))).toMatchObject({ pid, stdout: 'done\n', exit: { code: 0 } });
  const again = agent.guest.startExec(execId, spec, { env: {}, workingDir: undefined }, patience());
  await expect(again).rejects.toMatchObject({ code: 'AlreadyExists' });
  const missing = { ...spec, command: 'no-such-program' };
  const failing = agent.guest.startExec(
    randomIds.execId(),
    missing,
    { env: {}, workingDir: undefined },
    patience(),
  );
  await expect(failing).rejects.toMatchObject({ code: 'NotFound', details: { errno: 'ENOENT' } });
});

test('a slow reader among several holds the program back, and it goes on when that one leaves', async () => {
  const { execId } = await begun('echo go; read wait; head -c 40000000 /dev/zero', 'go');
  const slow = attach(execId)[Symbol.asyncIterator]();
  await slow.next();
  const fast = attach(execId);
  await fast.send({ kind: 'end' });
  let bytes = 0;
  const reading = (async () => {
    for await (const output of fast) if ('data' in output) bytes += output.data.length;
  })();
  let last = -1;
  await eventually('it stands still', () => {
    const isStill = bytes === last && bytes > 0;
    last = bytes;
    return isStill;
  });
  expect(bytes).toBeLessThan(10_000_000);
  await slow.return?.();
  await reading;
  expect(bytes).toBe(40_000_003);
});

test('what many programs leave behind is bounded', async () => {
  const before = (await agent.memoryMib()).now;
  for (let batch = 0; batch < 10; batch += 1)
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const execId = randomIds.execId();
        const spec = { command: 'head', args: ['-c', '300000', '/dev/zero'], env: {} };
        await agent.guest.startExec(execId, spec, { env: {}, workingDir: undefined }, patience());
        await agent.guest.waitExec(execId, patience());
      }),
    );
  expect((await agent.memoryMib()).now - before).toBeLessThan(60);
});

describe.skipIf(process.getuid?.() !== 0)('a user (as root)', () => {
  const whoami = { command: 'sh', args: ['-c', 'id -u; id -g; echo $USER $HOME'] };

  test.each([
    ['nobody', '65534\n65534\nnobody /nonexistent\n'],
    ['nobody:daemon', '65534\n1\nnobody /nonexistent\n'],
    ['65534:7', '65534\n7\nnobody /nonexistent\n'],
    ['4242', '4242\n0\n4242 /\n'],
  ])('%s is who the program runs as', async (user, expected) => {
    const { stdout } = await resultOf(begin(agent.guest, { ...whoami, user, workingDir: '/' }));
    expect(stdout).toBe(expected);
  });

  test('has the terminal as well', async () => {
    const tty = { rows: 24, cols: 80 };
    const spec = { ...sh('id -u; test -w $(tty) && echo writable'), user: 'nobody', workingDir: '/', tty };
    const { stdout } = await resultOf(begin(agent.guest, spec));
    expect(stdout).toBe('65534\r\nwritable\r\n');
  });

  test('who is not in the box is an invalid argument', async () => {
    const failure = resultOf(begin(agent.guest, { ...whoami, user: 'mallory' }));
    await expect(failure).rejects.toMatchObject({ code: 'InvalidArgument', faults: [{ field: 'user' }] });
  });
});
