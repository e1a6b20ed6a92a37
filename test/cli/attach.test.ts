import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { DetachKeys, detachKeysValue } from '../../src/cli/detach-keys.ts';
import { FlagFaults } from '../../src/cli/flag-values.ts';
import { ExecInfo, type ExecServiceServer } from '../../src/gen/boxledger/v1/exec_service.ts';
import { aBox, wireRefusal } from '../sdk/scripted-server.ts';
import { jsonLines } from './in-process.ts';
import { served } from './served.ts';

type AttachCall = Parameters<ExecServiceServer['attachExec']>[0];

const execId = 'ex_0123456789abcdef';
const anExec = (over: Partial<ExecInfo> = {}): ExecInfo =>
  ExecInfo.fromPartial({
    ...{ execId, boxId: 'bx_0123456789abcdef', generation: 1, state: 'running', pid: 7 },
    program: { command: 'sh', args: ['-c', 'true'] },
    requestedAt: new Date(0),
    ...over,
  });
const started = { message: { $case: 'started', value: { execId, boxId: 'bx_1', pid: 7 } } } as const;
const stdout = (text: string) => ({ message: { $case: 'stdout', value: Buffer.from(text) } }) as const;
const exited = (value: number) =>
  ({
    message: {
      $case: 'exited',
      value: { exit: { how: { $case: 'code', value } }, timedOut: false, durationMs: 5n },
    },
  }) as const;

/** A box with these execs, and what they say to who attaches. */
const box = (
  execs: readonly ExecInfo[],
  attached: (call: AttachCall, said: string, data: Buffer) => void,
) => ({
  get: ((_, answer) => answer(null, { box: aBox() })) as Parameters<typeof served>[0]['get'] & object,
  listExecs: (({ request }, answer) =>
    answer(null, {
      execs: execs.filter(({ state }) => request.includeEnded || state === 'running'),
      nextPageToken: '',
    })) as ExecServiceServer['listExecs'],
  attachExec: ((call) =>
    void call.on('data', ({ message }) =>
      attached(call, message.$case, message.$case === 'stdin' ? message.value : Buffer.alloc(0)),
    )) as ExecServiceServer['attachExec'],
});

describe('attach', () => {
  test('takes the only program that runs, shows its output and exits as it does', async () => {
    const { start } = await served(
      box([anExec(), anExec({ execId: 'ex_1123456789abcdef', state: 'exited' })], (call, said, data) => {
        if (said === 'attach') for (const output of [started, stdout('kept\n')]) call.write(output);
        if (said === 'stdin') call.write(stdout(`got ${data}`));
        if (said !== 'stdinEnd') return;
        call.write(exited(4));
        call.end();
      }),
    );
    const command = start(['attach', 'web']);
    command.stdin.end('more\n');
    expect(await command.done).toEqual({ code: 4, stdout: 'kept\ngot more\n', stderr: '' });
  });

  test('says how much output is lost', async () => {
    const skipped = { message: { $case: 'skipped', value: { bytes: 99n } } } as const;
    const { run } = await served(
      box([anExec()], (call, said) => {
        if (said !== 'attach') return;
        for (const output of [started, skipped, stdout('rest\n'), exited(0)]) call.write(output);
        call.end();
      }),
    );
    expect(await run('attach', '--no-stdin', 'web', '0123')).toEqual({
      code: 0,
      stdout: 'rest\n',
      stderr: 'boxledger: 99 bytes of output are lost\n',
    });
  });

  test('on a terminal is left by Ctrl-P Ctrl-Q, which the program does not see', async () => {
    let seen = '';
    let gone: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      gone = resolve;
    });
    const { start } = await served(
      box([anExec({ tty: true })], (call, said, data) => {
        call.on('cancelled', () => gone());
        if (said === 'attach') for (const output of [started, stdout('$ ')]) call.write(output);
        seen += data;
      }),
    );
    const command = start(['attach', 'web', execId], { tty: true });
    await command.shown('$ ');
    command.stdin.write('ls\r');
    command.stdin.write('\u0010');
    command.stdin.write('\u0011');
    const { code, stderr } = await command.done;
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `\r\ndetached; attach again: boxledger attach bx_1 ${execId}\r\n`,
    });
    await left;
    expect(seen).toBe('ls\r');
    expect(command.stdin.modes).toEqual([true, false]);
  });

  test('says which programs it could be, and that none runs', async () => {
    const both = await served(box([anExec(), anExec({ execId: 'ex_0199999999abcdef' })], () => undefined));
    expect(await both.run('attach', '--no-stdin', 'web', '01')).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/ex_0123456789abcdef.*ex_0199999999abcdef/),
    });
    expect(await both.run('attach', '--no-stdin', 'web', '77')).toMatchObject({ code: 125 });
  });
});

test('exec -d prints the exec and leaves the program running', async () => {
  let asked: object | undefined;
  const { run } = await served({
    get: (_, answer) => answer(null, { box: aBox() }),
    startExec: ({ request }, answer) => {
      asked = request.start;
      answer(null, { execId, boxId: 'bx_1', pid: 7 });
    },
  });
  expect(await run('exec', '-d', '-u', 'nobody', 'web', 'sleep', '60')).toEqual({
    code: 0,
    stdout: `${execId}\n`,
    stderr: '',
  });
  expect(asked).toMatchObject({ command: 'sleep', args: ['60'], user: 'nobody' });
  expect((await run('exec', '-d', '-i', 'web', 'cat')).stderr).toContain('--interactive');
  expect(jsonLines((await run('exec', '-d', '--json', 'web', 'x')).stdout)).toEqual([
    { execId, boxId: 'bx_1', pid: 7 },
  ]);
});

test('execs lists what runs, and with -a what has ended', async () => {
  const how = { how: { $case: 'code', value: 3 } } as const;
  const ended = anExec({
    ...{ execId: 'ex_1123456789abcdef', state: 'exited', program: undefined },
    exited: { exit: how, timedOut: false, durationMs: 5n },
  });
  const { run } = await served(box([anExec(), ended], () => undefined));
  expect((await run('execs', '-q', 'web')).stdout).toBe(`${execId}\n`);
  expect((await run('execs', '-a', 'web')).stdout).toMatch(
    /EXEC ID.*COMMAND\nex_0123456789abcdef +running .*sh -c true\nex_1123456789abcdef +exited .* 3 +-\n/,
  );
  expect(jsonLines((await run('execs', '-a', '--json', 'web')).stdout)[1]).toMatchObject({
    program: null,
    exit: { kind: 'code', code: 3 },
    durationMs: 5,
  });
});

test('kill sends the signal to each of the programs', async () => {
  const sent: string[] = [];
  const { run } = await served({
    ...box([anExec()], () => undefined),
    signalExec: ({ request }, answer) => {
      sent.push(`${request.execId} ${request.signal}`);
      if (request.signal === 'SIGNOPE')
        answer(wireRefusal(status.INVALID_ARGUMENT, { code: 'InvalidArgument', message: 'no signal' }));
      else answer(null, {});
    },
  });
  expect((await run('kill', 'web', '0123')).code).toBe(0);
  expect((await run('kill', '-s', 'hup', 'web', execId)).stdout).toBe(`${execId}\n`);
  expect((await run('kill', '-s', 'SIGNOPE', 'web', execId)).code).toBe(125);
  expect(sent).toEqual([`${execId} SIGKILL`, `${execId} SIGHUP`, `${execId} SIGNOPE`]);
});

describe('detach keys', () => {
  const passed = (keys: string, ...typed: string[]) => {
    let detached = false;
    const found = new DetachKeys(detachKeysValue(new FlagFaults(), keys), () => {
      detached = true;
    });
    const text = typed.map((data) => found.pass(Buffer.from(data)).toString()).join('');
    return { text, detached };
  };

  test.each([
    ['ctrl-p,ctrl-q', ['a\u0010b'], 'a\u0010b', false],
    ['ctrl-p,ctrl-q', ['\u0010', '\u0010\u0011'], '\u0010', true],
    ['ctrl-p,ctrl-q', ['x\u0010\u0011rest'], 'x', true],
    ['ctrl-a,d', ['\u0001x\u0001d'], '\u0001x', true],
    ['ctrl-@', ['ab\u0000'], 'ab', true],
  ] as const)('%s in %j', (keys, typed, text, detached) => {
    expect(passed(keys, ...typed)).toEqual({ text, detached });
  });

  test.each(['', 'ctrl-', 'ctrl-p,', 'ab', 'ctrl-P'])('%j are none', (keys) => {
    const faults = new FlagFaults();
    detachKeysValue(faults, keys);
    expect(() => faults.check('attach')).toThrow('--detach-keys');
  });
});
