import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import type { ExecStart } from '../../src/gen/boxledger/v1/box_service.ts';
import { aBox, type Script, wireRefusal } from '../sdk/scripted-server.ts';
import { served } from './served.ts';

/** A server that runs every program at once, and the calls that it got. */
const runner = (exitCode: number, failing: Script = {}) => {
  const calls: string[] = [];
  const asked: { exec?: ExecStart; ids: (string | undefined)[] } = { ids: [] };
  const script: Script = {
    create: ({ request }, answer) => {
      calls.push(`create ${request.name}`);
      asked.ids.push(request.mutation?.commandId);
      answer(null, { box: aBox({ state: 'configured' }), created: true });
    },
    start: ({ request }, answer) => {
      calls.push('start');
      asked.ids.push(request.mutation?.commandId);
      answer(null, { box: aBox() });
    },
    stop: (_, answer) => {
      calls.push('stop');
      answer(null, { box: aBox({ state: 'stopped' }) });
    },
    remove: ({ request }, answer) => {
      calls.push(request.force ? 'remove by force' : 'remove');
      answer(null, { box: aBox({ state: 'removed' }) });
    },
    exec: (call) =>
      void call.on('data', ({ message }) => {
        if (message.$case !== 'start') return;
        calls.push('exec');
        asked.exec = message.value;
        asked.ids.push(message.value.mutation?.commandId);
        call.write({ message: { $case: 'started', value: { execId: 'ex_1', boxId: 'bx_1', pid: 7 } } });
        call.write({ message: { $case: 'stdout', value: Buffer.from('hello\n') } });
        const how = { $case: 'code', value: exitCode } as const;
        call.write({
          message: { $case: 'exited', value: { exit: { how }, timedOut: false, durationMs: 5n } },
        });
        call.end();
      }),
    startExec: ({ request: { start } }, answer) => {
      calls.push('start exec');
      if (start !== undefined) asked.exec = start;
      asked.ids.push(start?.mutation?.commandId);
      answer(null, { execId: 'ex_1', boxId: 'bx_1', pid: 7 });
    },
    ...failing,
  };
  return { script, calls, asked };
};

test('run makes a box, runs the program, stops the box and exits as the program did', async () => {
  const { script, calls, asked } = runner(4);
  const { run } = await served(script);
  const outcome = await run('run', '--name', 'web', '-e', 'A=1', 'echo', '-n', '--rm');
  expect(outcome).toEqual({ code: 4, stdout: 'hello\n', stderr: '' });
  expect(calls).toEqual(['create web', 'start', 'exec', 'stop']);
  expect(asked.exec).toMatchObject({ box: 'bx_0123456789abcdef', command: 'echo', args: ['-n', '--rm'] });
});

test('run --rm removes the box', async () => {
  const { script, calls } = runner(0);
  const { run } = await served(script);
  expect((await run('run', '--rm', 'true')).code).toBe(0);
  expect(calls).toEqual(['create ', 'start', 'exec', 'remove by force']);
});

test('one command id makes the whole run repeatable', async () => {
  const { script, asked } = runner(0);
  const { run } = await served(script);
  await run('run', '--command-id', 'job-7', 'true');
  expect(asked.ids).toEqual(['job-7.create', 'job-7.start', 'job-7.exec']);
});

test('a box that does not start is removed with --rm, and the start’s error is told', async () => {
  const { script, calls } = runner(0, {
    start: (_, answer) =>
      answer(
        wireRefusal(status.UNIMPLEMENTED, {
          code: 'Unsupported',
          message: 'no namespaces here',
          details: { console: 'line 1\nline\u001b 2\n' },
        }),
      ),
  });
  const { run } = await served(script);
  expect(await run('run', '--rm', 'true')).toEqual({
    code: 125,
    stdout: '',
    stderr: 'boxledger: no namespaces here\n  console:\n    line 1\n    line\\x1b 2\n',
  });
  expect(calls).toEqual(['create ', 'remove by force']);
});

test('a stop that fails is told, and the program’s exit code stands', async () => {
  const { script } = runner(3, {
    stop: (_, answer) => answer(wireRefusal(status.INTERNAL, { code: 'Internal', message: 'stuck' })),
  });
  const { run } = await served(script);
  expect(await run('run', 'true')).toEqual({ code: 3, stdout: 'hello\n', stderr: 'boxledger: stuck\n' });
});

test('run -d prints the id and leaves box and program running', async () => {
  const { script, calls, asked } = runner(0);
  const { run } = await served(script);
  expect(await run('run', '-d', '--timeout', '5', 'sleep', '60')).toEqual({
    code: 0,
    stdout: 'bx_0123456789abcdef\n',
    stderr: '',
  });
  expect(calls).toEqual(['create ', 'start', 'start exec']);
  expect(asked.exec).toMatchObject({ command: 'sleep', args: ['60'], timeoutMs: 5000 });
});

test('run -d without a program only starts a box', async () => {
  const { script, calls } = runner(0);
  const { run } = await served(script);
  expect((await run('run', '-d')).code).toBe(0);
  expect(calls).toEqual(['create ', 'start']);
});

test('run -d of a program that is not there says so, stops the box and exits 127', async () => {
  const { script, calls } = runner(0, {
    startExec: (_, answer) => {
      const details = { errno: 'ENOENT' };
      const message = 'nonesuch cannot be started: ENOENT';
      answer(wireRefusal(status.NOT_FOUND, { code: 'NotFound', message, details }));
    },
  });
  const { run } = await served(script);
  expect(await run('run', '-d', 'nonesuch')).toMatchObject({
    code: 127,
    stdout: '',
    stderr: 'boxledger: nonesuch cannot be started: ENOENT\n',
  });
  expect(calls).toEqual(['create ', 'start', 'stop']);
});

test('what does not go with -d is named, and so is a missing program', async () => {
  const { run } = await served({});
  const { code, stderr } = await run('run', '-d', '-it', '--rm', 'true');
  expect(code).toBe(125);
  for (const flag of ['--rm', '--interactive', '--tty']) expect(stderr).toContain(flag);
  expect((await run('run')).stderr).toContain('command: is missing');
});

test('who asks again while the box is put away waits no longer', async () => {
  let arrived: () => void = () => undefined;
  const stopping = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const { script } = runner(5, { stop: () => arrived() });
  const { start } = await served(script);
  const command = start(['run', 'true']);
  await stopping;
  command.signal('SIGINT');
  expect(await command.done).toEqual({ code: 5, stdout: 'hello\n', stderr: '' });
});

test('Ctrl-C while the box starts removes it with --rm', async () => {
  let arrived: () => void = () => undefined;
  const starting = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const { script, calls } = runner(0, { start: () => arrived() });
  const { start } = await served(script);
  const command = start(['run', '--rm', 'true']);
  await starting;
  command.signal('SIGINT');
  expect(await command.done).toEqual({ code: 130, stdout: '', stderr: '' });
  expect(calls).toEqual(['create ', 'remove by force']);
});
