import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import type { Exit } from '../../src/gen/boxledger/v1/box.ts';
import type { BoxServiceServer, ExecRequest, ExecStart } from '../../src/gen/boxledger/v1/box_service.ts';
import { aBox, wireRefusal } from '../sdk/scripted-server.ts';
import { jsonLines } from './in-process.ts';
import { served } from './served.ts';

type ExecCall = Parameters<BoxServiceServer['exec']>[0];

const started = { message: { $case: 'started', value: { execId: 'ex_1', boxId: 'bx_1', pid: 7 } } } as const;
const stdout = (data: Buffer | string) =>
  ({ message: { $case: 'stdout', value: Buffer.from(data) } }) as const;
const stderr = (text: string) => ({ message: { $case: 'stderr', value: Buffer.from(text) } }) as const;
const exited = (how: NonNullable<Exit['how']>, timedOut = false) =>
  ({ message: { $case: 'exited', value: { exit: { how }, timedOut, durationMs: 5n } } }) as const;
const code = (value: number) => ({ $case: 'code', value }) as const;

type Incoming = NonNullable<ExecRequest['message']>;

/** A program: says what it does with each thing that it is told. */
const program = (told: (message: Incoming, call: ExecCall) => void): Partial<BoxServiceServer> => ({
  get: (_, answer) => answer(null, { box: aBox() }),
  exec: (call) =>
    void call.on('data', ({ message }: ExecRequest) => {
      if (message !== undefined) told(message, call);
    }),
});

const endWith = (call: ExecCall, ...outputs: Parameters<ExecCall['write']>[0][]) => {
  for (const output of outputs) call.write(output);
  call.end();
};

test('two dashes between box and program are no program', async () => {
  let asked: ExecStart | undefined;
  const { run } = await served(
    program((message, call) => {
      if (message.$case !== 'start') return;
      asked = message.value;
      endWith(call, started, exited(code(0)));
    }),
  );
  expect((await run('exec', 'web', '--', 'ls', '--', '-l')).code).toBe(0);
  expect(asked).toMatchObject({ command: 'ls', args: ['--', '-l'] });
});

test('exec passes both outputs on and exits as the program did', async () => {
  let asked: ExecStart | undefined;
  const { run } = await served(
    program((message, call) => {
      if (message.$case !== 'start') return;
      asked = message.value;
      endWith(call, started, stdout('out\n'), stderr('err\n'), exited(code(3)));
    }),
  );
  const outcome = await run(
    ...['exec', '-e', 'A=1', '-w', '/srv', '--timeout', '1.5', '--no-auto-start', '--reason', 'because'],
    ...['web', 'ls', '-l', '--json', '-e'],
  );
  expect(outcome).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
  expect(asked).toMatchObject({
    box: 'bx_0123456789abcdef',
    command: 'ls',
    args: ['-l', '--json', '-e'],
    env: { A: '1' },
    workingDir: '/srv',
    timeoutMs: 1500,
    autoStart: false,
    mutation: { reason: 'because' },
  });
  expect(asked?.tty).toBeUndefined();
});

test.each([
  ['SIGKILL', 137],
  ['SIGTERM', 143],
])('a program that %s ended gives exit code %d', async (signal, expected) => {
  const { run } = await served(
    program((message, call) => {
      if (message.$case === 'start') endWith(call, started, exited({ $case: 'signal', value: signal }));
    }),
  );
  expect((await run('exec', 'web', 'x')).code).toBe(expected);
});

test('that a program ran too long is said', async () => {
  const { run } = await served(
    program((message, call) => {
      if (message.$case === 'start')
        endWith(call, started, exited({ $case: 'signal', value: 'SIGKILL' }, true));
    }),
  );
  expect(await run('exec', 'web', 'x')).toMatchObject({
    code: 137,
    stderr: expect.stringContaining('longer'),
  });
});

test('a program whose end nobody saw is boxledger’s failure, and said to be', async () => {
  const { run } = await served(
    program((message, call) => {
      if (message.$case === 'start') endWith(call, started, exited({ $case: 'unknown', value: true }));
    }),
  );
  expect(await run('exec', 'web', 'x')).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('nobody saw'),
  });
});

test('a terminal without a size gets no spinner, which would not come to an end there', async () => {
  const { start } = await served({ start: (_, answer) => answer(null, { box: aBox() }) });
  const { code, stderr } = await start(['start', 'x'], { tty: true, columns: 0 }).done;
  expect(code).toBe(0);
  expect(stderr).toBe('');
});

test('a failure while a spinner is shown is told like any other', async () => {
  const { start } = await served({
    start: (_, answer) =>
      answer(wireRefusal(status.NOT_FOUND, { code: 'NotFound', message: 'There is no box x.' })),
    wait: (_, answer) =>
      answer(wireRefusal(status.NOT_FOUND, { code: 'NotFound', message: 'There is no box x.' })),
  });
  for (const argv of [
    ['start', 'x'],
    ['wait', 'x'],
  ]) {
    const { code, stderr } = await start(argv, { tty: true }).done;
    expect(code).toBe(125);
    expect(stderr).toContain('boxledger: There is no box x.\n');
  }
});

test.each([
  ['NotFound', status.NOT_FOUND, { errno: 'ENOENT' }, 127],
  ['PermissionDenied', status.PERMISSION_DENIED, { errno: 'EACCES' }, 126],
  ['Unavailable', status.UNAVAILABLE, {}, 125],
  // Not the program, but the box, which somebody removed in the meantime.
  ['NotFound', status.NOT_FOUND, {}, 125],
] as const)(
  'a program that cannot be started for %s (%d, %j) gives exit code %d',
  async (code, wire, details, expected) => {
    const { run } = await served(
      program((message, call) => {
        if (message.$case === 'start')
          call.emit('error', wireRefusal(wire, { code, message: 'x cannot be started', details }));
      }),
    );
    expect(await run('exec', 'web', 'x')).toMatchObject({
      code: expected,
      stderr: 'boxledger: x cannot be started\n',
    });
  },
);

test('a box that is not there is boxledger’s failure, not the program’s', async () => {
  const { run } = await served({
    get: (_, answer) =>
      answer(wireRefusal(status.NOT_FOUND, { code: 'NotFound', message: 'There is no box web.' })),
  });
  expect((await run('exec', 'web', 'x')).code).toBe(125);
});

test('without -i the program finds its input at its end', async () => {
  const seen: string[] = [];
  const { run } = await served(
    program((message, call) => {
      seen.push(message.$case);
      if (message.$case === 'start') call.write(started);
      if (message.$case === 'stdinEnd') endWith(call, exited(code(0)));
    }),
  );
  expect((await run('exec', 'web', 'cat')).code).toBe(0);
  expect(seen).toEqual(['start', 'stdinEnd']);
});

test('with -i what is piped in goes through, to its end', async () => {
  const { start } = await served(
    program((message, call) => {
      if (message.$case === 'start') call.write(started);
      if (message.$case === 'stdin') call.write(stdout(message.value));
      if (message.$case === 'stdinEnd') endWith(call, exited(code(0)));
    }),
  );
  const command = start(['exec', '-i', 'web', 'cat']);
  const piped = 'x'.repeat(300_000);
  command.stdin.end(piped);
  const { code: exitCode, stdout: copied } = await command.done;
  expect({ exitCode, isWhole: copied === piped }).toEqual({ exitCode: 0, isWhole: true });
});

test('Ctrl-C is the program’s, and so is its answer', async () => {
  const { start } = await served(
    program((message, call) => {
      if (message.$case === 'start') endless(call);
      if (message.$case === 'signal') endWith(call, stdout(`got ${message.value}\n`), exited(code(42)));
    }),
  );
  const endless = (call: ExecCall) => {
    call.write(started);
    call.write(stdout('ready\n'));
  };
  const command = start(['exec', 'web', 'x']);
  await command.shown('ready');
  command.signal('SIGINT');
  expect(await command.done).toEqual({ code: 42, stdout: 'ready\ngot SIGINT\n', stderr: '' });
});

test('the third Ctrl-C ends the command although the program goes on', async () => {
  const { start } = await served(
    program((message, call) => {
      if (message.$case !== 'start') return;
      call.write(started);
      call.write(stdout('ready\n'));
    }),
  );
  const command = start(['exec', 'web', 'x']);
  await command.shown('ready');
  for (let press = 0; press < 3; press++) command.signal('SIGINT');
  expect((await command.done).code).toBe(130);
});

test('Ctrl-C before the program runs gives up', async () => {
  let asked: () => void = () => undefined;
  const arrived = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { start } = await served(program(() => asked()));
  const command = start(['exec', 'web', 'x']);
  await arrived;
  command.signal('SIGINT');
  expect(await command.done).toEqual({ code: 130, stdout: '', stderr: '' });
});

test('with -it the program has the terminal, its size and every key, and gives it back', async () => {
  const seen: unknown[] = [];
  const { start } = await served(
    program((message, call) => {
      if (message.$case === 'start') {
        seen.push(message.value.tty);
        call.write(started);
        call.write(stdout('$ '));
      }
      if (message.$case === 'resize') {
        seen.push(message.value);
        call.write(stdout('resized'));
      }
      if (message.$case === 'stdin' && message.value.includes(3)) endWith(call, exited(code(0)));
    }),
  );
  const command = start(['exec', '-it', 'web', 'sh'], { tty: true });
  await command.shown('$ ');
  expect(command.stdin.modes).toEqual([true]);
  command.stdout.rows = 50;
  command.stdout.columns = 120;
  command.stdout.emit('resize');
  await command.shown('resized');
  command.stdin.write('\u0003');
  expect((await command.done).code).toBe(0);
  expect(seen).toMatchObject([
    { rows: 24, cols: 80 },
    { rows: 50, cols: 120 },
  ]);
  expect(command.stdin.modes).toEqual([true, false]);
  expect(command.stdout.listenerCount('resize')).toBe(0);
});

test('the terminal is as before when the call breaks', async () => {
  const { start } = await served(
    program((message, call) => {
      if (message.$case === 'start') call.write(started);
      if (message.$case === 'stdin')
        call.emit(
          'error',
          wireRefusal(status.UNAVAILABLE, { code: 'Unavailable', message: 'the box is gone' }),
        );
    }),
  );
  const command = start(['exec', '-it', 'web', 'sh'], { tty: true });
  command.stdin.write('x');
  expect(await command.done).toMatchObject({ code: 125, stderr: 'boxledger: the box is gone\n' });
  expect(command.stdin.modes).toEqual([true, false]);
  expect(command.handlers()).toBe(0);
});

test('-it without a terminal is refused with what to do', async () => {
  const { run } = await served(program(() => undefined));
  expect(await run('exec', '-it', 'web', 'sh')).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('Leave out -t'),
  });
});

test('as JSON each output is an object, in base 64 where it is not text', async () => {
  const { run } = await served(
    program((message, call) => {
      if (message.$case === 'start')
        endWith(call, started, stdout('grüße'), stdout(Buffer.from([0xff])), stderr('e'), exited(code(1)));
    }),
  );
  const outcome = await run('exec', '--json', 'web', 'x');
  expect(outcome.code).toBe(1);
  expect(jsonLines(outcome.stdout)).toEqual([
    { type: 'started', execId: 'ex_1', boxId: 'bx_1', pid: 7 },
    { type: 'stdout', data: 'grüße' },
    { type: 'stdout', base64: '/w==' },
    { type: 'stderr', data: 'e' },
    { type: 'exited', exit: { kind: 'code', code: 1 }, exitCode: 1, timedOut: false, durationMs: 5 },
  ]);
});

test('when nobody reads the program’s output the exec is given up', async () => {
  let cancelled: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  const { start } = await served(
    program((message, call) => {
      if (message.$case !== 'start') return;
      call.on('cancelled', () => cancelled());
      call.write(started);
      call.write(stdout('y\n'));
    }),
  );
  const command = start(['exec', 'web', 'yes'], { unread: true });
  command.stdout.once('data', () =>
    command.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  );
  expect(await command.done).toMatchObject({ code: 141, stderr: '' });
  await heard;
});
