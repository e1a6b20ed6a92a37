import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomIds } from '../../src/main/random-ids.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { begin, isAlive, patience, resultOf, run, sh } from '../support/guest-exec.ts';

let agent: TestAgent;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent({ SECRET_OF_THE_AGENT: 'x' });
});
afterAll(() => agent.stop());

describe('output and exit', () => {
  test('stdout, stderr and the exit code arrive apart', async () => {
    const result = await run(agent.guest, sh('echo out; echo err >&2; exit 3'));
    expect(result).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exit: { kind: 'code', code: 3 } });
    expect(result.timedOut).toBe(false);
    expect(result.durationMs).toBeGreaterThanOrEqual(0);
  });

  test('a program ended by a signal is told by its name', async () => {
    const { exit } = await run(agent.guest, sh('kill -SEGV $$'));
    expect(exit).toEqual({ kind: 'signal', signal: 'SIGSEGV' });
  });

  test.each([100, 500_000, 1_000_000, 3_000_000])(
    'output that nobody read before the program ended is complete: %i bytes',
    async (size) => {
      const marker = join(agent.home, `written-${size}`);
      const exec = begin(agent.guest, sh(`head -c ${size} /dev/zero; touch ${marker}; exit 1`));
      const outputs = exec[Symbol.asyncIterator]();
      const { value } = await outputs.next();
      // what fits into the buffers on the way is all there while the reader has not begun
      if (size <= 500_000) await eventually('the program has ended', () => !isAlive(value.pid));
      for (let times = 0; times < 3; times += 1) await agent.guest.ping(patience()); // what is on its way arrives
      let bytes = 0;
      let last: unknown;
      for (let next = await outputs.next(); next.done !== true; next = await outputs.next()) {
        if ('data' in next.value) bytes += next.value.data.length;
        last = next.value;
      }
      expect({ bytes, last }).toMatchObject({ bytes: size, last: { exit: { kind: 'code', code: 1 } } });
    },
  );

  test('a program left behind that holds the pipe open does not hold up the exit, and lives on', async () => {
    const result = await run(agent.guest, sh('sleep 1000 & echo $!'));
    expect(result.exit).toEqual({ kind: 'code', code: 0 });
    const left = Number(result.stdout);
    expect(isAlive(left)).toBe(true);
    process.kill(left, 'SIGKILL');
  });

  test('a program left behind that never stops writing does not hold up the exit either', async () => {
    const result = await run(agent.guest, sh('yes & echo $! >&2; exit 5'), { keepOutput: false });
    expect(result.exit).toEqual({ kind: 'code', code: 5 });
    const left = Number(result.stderr);
    expect(isAlive(left)).toBe(true);
    process.kill(left, 'SIGKILL');
  });

  test('200 execs at once each get their own output', async () => {
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        run(agent.guest, sh(`for i in 1 2 3; do echo ${index}; done; cat; exit ${index}`), {
          input: `in${index}`,
        }),
      ),
    );
    expect(results.map(({ stdout, exit }) => [stdout, exit])).toEqual(
      results.map((_, index) => [`${index}\n${index}\n${index}\nin${index}`, { kind: 'code', code: index }]),
    );
  });
});

test('more execs in a short time than a connection takes resets of all succeed', async () => {
  const total = 1_600; // a connection is ended after a thousand and 33 a second
  let asked = 0;
  const caller = async () => {
    while (asked < total) {
      asked += 1;
      expect((await run(agent.guest, { command: '/bin/true', args: [], env: {} })).exit).toEqual({
        kind: 'code',
        code: 0,
      });
    }
  };
  await Promise.all(Array.from({ length: 32 }, caller));
}, 120_000);

describe('environment', () => {
  test('is the base, the box defaults over it and the exec over both, and nothing of the agent', async () => {
    const spec = { ...sh('env'), env: { A: 'exec', LANG: 'xx' } };
    const { stdout } = await run(agent.guest, spec, { defaults: { A: 'box', B: 'box' } });
    const env = Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s)));
    expect(env).toMatchObject({ A: 'exec', B: 'box', LANG: 'xx', HOME: agent.home, USER: 'tester' });
    expect(stdout).not.toContain('SECRET_OF_THE_AGENT');
  });

  test('a program starts in the directory of the exec, else of the box, else at home', async () => {
    const pwd = async (workingDir?: string, ofBox?: string) =>
      (await run(agent.guest, { ...sh('pwd'), ...(workingDir && { workingDir }) }, { workingDir: ofBox }))
        .stdout;
    expect(await pwd('/usr', '/etc')).toBe('/usr\n');
    expect(await pwd(undefined, '/etc')).toBe('/etc\n');
    expect(await pwd()).toBe(`${agent.home}\n`);
  });
});

describe('what cannot be started', () => {
  const failure = (spec: Parameters<typeof run>[1]) =>
    run(agent.guest, spec).catch((error: unknown) => error);

  test('a missing program is not found', async () => {
    expect(await failure({ command: 'no-such-program' })).toMatchObject({
      code: 'NotFound',
      details: { errno: 'ENOENT' },
    });
    expect(await failure({ command: 'no-such-program', tty: { rows: 9, cols: 9 } })).toMatchObject({
      code: 'NotFound',
    });
  });

  test('a file that may not be executed is denied', async () => {
    expect(await failure({ command: '/etc/passwd' })).toMatchObject({ code: 'PermissionDenied' });
    expect(await failure({ command: '/etc/passwd', tty: { rows: 9, cols: 9 } })).toMatchObject({
      code: 'PermissionDenied',
    });
  });

  test('a bad working directory is named as such, together with every other fault', async () => {
    expect(await failure({ command: 'true', workingDir: '/none', env: { 'A=B': 'c' } })).toMatchObject({
      code: 'InvalidArgument',
      faults: [{ field: 'env.A=B' }, { field: 'working_dir', problem: '/none cannot be entered: ENOENT' }],
    });
    expect(await failure({ command: 'true', workingDir: '/etc/passwd' })).toMatchObject({
      faults: [{ field: 'working_dir', problem: '/etc/passwd is not a directory' }],
    });
  });

  test('arguments too long for the system are an invalid argument', async () => {
    const args = ['-c', 'true', 'x'.repeat(1_000_000)];
    expect(await failure({ command: 'sh', args })).toMatchObject({
      code: 'InvalidArgument',
      details: { errno: 'E2BIG' },
    });
  });
});

describe('input', () => {
  test('reaches the program, which sees its end', async () => {
    const { stdout } = await run(
      agent.guest,
      { command: 'wc', args: ['-c'] },
      { input: 'x'.repeat(1_000_000) },
    );
    expect(Number(stdout)).toBe(1_000_000);
  });

  test('all of it can be sent before anything is read', async () => {
    const exec = begin(agent.guest, { command: 'wc', args: ['-c'] });
    for (let sent = 0; sent < 64; sent += 1)
      await exec.send({ kind: 'stdin', data: Buffer.alloc(128 * 1024) });
    await exec.send({ kind: 'end' });
    let stdout = '';
    for await (const output of exec) if (output.kind === 'stdout') stdout += Buffer.from(output.data);
    expect(Number(stdout)).toBe(64 * 128 * 1024);
  });

  test('that a program does not want is dropped, and its sender goes on', async () => {
    const { exit } = await run(agent.guest, sh('exec <&-; exit 4'), { input: 'x'.repeat(4_000_000) });
    expect(exit).toEqual({ kind: 'code', code: 4 });
  });
});

describe('signals', () => {
  test('reach the whole process group', async () => {
    const exec = begin(
      agent.guest,
      sh('trap "echo caught; exit 6" USR1; echo ready; while :; do sleep 0.05; done'),
    );
    let stdout = '';
    for await (const output of exec) {
      if (output.kind === 'stdout') stdout += Buffer.from(output.data);
      if (output.kind === 'stdout' && stdout === 'ready\n')
        await exec.send({ kind: 'signal', signal: 'SIGUSR1' });
      if (output.kind === 'exited') expect(output.exit).toEqual({ kind: 'code', code: 6 });
    }
    expect(stdout).toContain('caught');
  });

  test('without a terminal a size is an error of the call, and the program goes on', async () => {
    const execId = randomIds.execId();
    const exec = begin(agent.guest, sh('cat'), { execId });
    await exec.send({ kind: 'resize', rows: 1, cols: 1 });
    await expect(resultOf(exec)).rejects.toMatchObject({ code: 'InvalidArgument' });
    const again = agent.guest.attachExec(execId, undefined, patience());
    await again.send({ kind: 'end' });
    expect(await resultOf(again)).toMatchObject({ exit: { code: 0 } });
  });

  test('of every kind reach it, also when nobody is attached', async () => {
    const signals = ['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'ALRM', 'TERM', 'CONT', 'WINCH', 'URG', 'TSTP'];
    const execId = randomIds.execId();
    const traps = signals.map((name) => `trap "echo ${name}" ${name}`).join('; ');
    const outputs = begin(agent.guest, sh(`${traps}; echo ready; while :; do sleep 0.02; done`), { execId })[
      Symbol.asyncIterator
    ]();
    let seen = '';
    const until = async (text: string) => {
      while (!seen.includes(text)) {
        const { value } = await outputs.next();
        if (value.kind === 'stdout') seen += Buffer.from(value.data);
      }
    };
    await until('ready');
    for (const name of signals) {
      await agent.guest.signalExec(execId, `SIG${name}`, patience());
      await until(name);
    }
    await expect(agent.guest.signalExec(execId, 'SIGNOPE', patience())).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
    await agent.guest.signalExec(execId, 'SIGKILL', patience());
    expect((await agent.guest.waitExec(execId, patience())).exit).toEqual({
      kind: 'signal',
      signal: 'SIGKILL',
    });
  });

  test('that kill take grandchildren along', async () => {
    const execId = randomIds.execId();
    const script = 'sh -c "sh -c \'echo \\$\\$; sleep 1000\' & echo \\$\\$; wait" & echo $$; wait';
    const outputs = begin(agent.guest, sh(script), { execId })[Symbol.asyncIterator]();
    let seen = '';
    while (seen.split('\n').length < 4) {
      const { value } = await outputs.next();
      if (value.kind === 'stdout') seen += Buffer.from(value.data);
    }
    const pids = seen.trim().split('\n').map(Number);
    for (const pid of pids) expect(isAlive(pid)).toBe(true);
    await agent.guest.signalExec(execId, 'SIGKILL', patience());
    for (const pid of pids) await eventually(`${pid} is gone`, () => !isAlive(pid));
  });

  test('overtake input that the program does not take', async () => {
    const exec = begin(agent.guest, { command: 'sleep', args: ['1000'] });
    const sending = exec.send({ kind: 'stdin', data: Buffer.alloc(4_000_000) });
    await exec.send({ kind: 'signal', signal: 'SIGINT' });
    const outputs = [];
    for await (const output of exec) outputs.push(output);
    expect(outputs.at(-1)).toMatchObject({ kind: 'exited', exit: { kind: 'signal', signal: 'SIGINT' } });
    await sending;
  });

  test('without such a name are refused at once', async () => {
    const exec = begin(agent.guest, sh('cat'));
    await expect(exec.send({ kind: 'signal', signal: 'SIGNOPE' })).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
    await exec.send({ kind: 'end' });
    for await (const output of exec)
      if (output.kind === 'exited') expect(output.exit).toMatchObject({ code: 0 });
  });
});

describe('the end of a process group', () => {
  const twoSleepers = 'sleep 1000 & echo $$ $!; wait';

  test('comes with the timeout, for programs left behind as well', async () => {
    const result = await run(agent.guest, { ...sh(twoSleepers), timeoutMs: 500 });
    expect(result).toMatchObject({ timedOut: true, exit: { kind: 'signal', signal: 'SIGTERM' } });
    for (const pid of result.stdout.trim().split(' ').map(Number))
      await eventually(`${pid} is gone`, () => !isAlive(pid));
  });

  test('is forced when the timeout is ignored', async () => {
    const result = await run(agent.guest, {
      ...sh('trap "" TERM; while :; do sleep 0.1; done'),
      timeoutMs: 200,
    });
    expect(result).toMatchObject({ timedOut: true, exit: { kind: 'signal', signal: 'SIGKILL' } });
  });

  test('a timeout that passes on the host is an error with a code', async () => {
    await expect(
      run(agent.guest, sh('sleep 1000'), { signal: AbortSignal.timeout(300) }),
    ).rejects.toMatchObject({
      code: 'DeadlineExceeded',
    });
  });

  test('a call aborted before it began starts nothing', async () => {
    const marker = join(agent.home, 'never');
    const aborted = AbortSignal.abort(new Error('before'));
    await expect(run(agent.guest, sh(`touch ${marker}`), { signal: aborted })).rejects.toThrow('before');
    await run(agent.guest, sh('true'), { signal: patience() });
    await expect(readFile(marker)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
