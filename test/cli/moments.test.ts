import { describe, expect, test } from 'vitest';
import { FlagFaults } from '../../src/cli/flag-values.ts';
import { momentValue, timeValue } from '../../src/cli/moment-value.ts';
import {
  type ChainLink,
  DiffRequest,
  type ExplainRequest,
  ExplainResponse,
  type GetAtRequest,
  type ListAtRequest,
  type WhyRequest,
  WhyResponse,
} from '../../src/gen/boxledger/v1/history_service.ts';
import { aBox, anEvent } from '../sdk/scripted-server.ts';
import { jsonLines } from './in-process.ts';
import { served } from './served.ts';

const noon = Date.UTC(2026, 10, 25, 12);

describe('a moment', () => {
  test.each([
    ['4', 4n],
    ['2026-11-25T12:00:00Z', new Date(noon)],
    ['2026-11-25 13:00:00.250+01:00', new Date(noon + 250)],
    ['now', new Date(noon)],
    ['5m', new Date(noon - 300_000)],
    ['2h ago', new Date(noon - 7_200_000)],
    ['1h30m', new Date(noon - 5_400_000)],
    ['1.5d', new Date(noon - 129_600_000)],
    ['250ms', new Date(noon - 250)],
  ])('is read from %s', (text, moment) => {
    const faults = new FlagFaults();
    expect(momentValue(faults, '--at', text, noon)).toEqual(moment);
    expect(() => faults.check('inspect')).not.toThrow();
  });

  test.each([
    '',
    '5',
    '5x',
    'm5',
    '-5m',
    'yesterday',
    '2026-11-25',
    '2026-11-25T12:00:00',
    '2026-13-45T99:00:00Z',
    '9999999999d',
  ])('is not a time: %j', (text) => {
    const faults = new FlagFaults();
    expect(timeValue(faults, '--at', text, noon)).toBeUndefined();
    expect(() => faults.check('ls')).toThrow(/--at: must be a time such as/);
  });
});

test('inspect --at says which moment it shows, and the box as it was', async () => {
  const asked: GetAtRequest[] = [];
  const { run } = await served({
    getAt: ({ request }, answer) => {
      asked.push(request);
      answer(null, { box: aBox({ version: 3n }), event: anEvent({ type: 'box.started', version: 3n }) });
    },
  });
  const { code, stdout } = await run('inspect', 'web', '--at', '3');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^as of version 3, after box\.started at 2026-11-25T12:00:00\.000Z\nboxId: bx_/);
  const json = await run('inspect', 'web', '--at', '2026-11-25T12:00:00Z', '--json');
  expect(jsonLines(json.stdout)).toMatchObject([{ name: 'web', state: 'running', version: 3 }]);
  expect(asked.map(({ at }) => at?.when)).toEqual([
    { $case: 'version', value: 3n },
    { $case: 'time', value: new Date(noon) },
  ]);
});

test('ls --at asks for the fleet as it was, and tells ages as of then', async () => {
  let asked: ListAtRequest | undefined;
  const { run } = await served({
    listAt: ({ request }, answer) => {
      asked = request;
      answer(null, { boxes: [aBox()], nextPageToken: '' });
    },
  });
  const { stdout } = await run('ls', '--at', '2026-11-25T12:05:00Z', '-a', '--filter', 'label=team=shop');
  expect(stdout).toContain('5 minutes ago');
  expect(asked).toMatchObject({
    includeRemoved: true,
    labels: { team: 'shop' },
    at: new Date(noon + 300_000),
  });
  expect(await run('ls', '--at', '4')).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('must be a time'),
  });
});

test('diff shows what differs of the view, and what only the statechart keeps in brackets', async () => {
  let asked: DiffRequest | undefined;
  const change = (path: string, beforeJson?: string, afterJson?: string) => ({ path, beforeJson, afterJson });
  const { run } = await served({
    diff: ({ request }, answer) => {
      asked = request;
      answer(null, {
        from: aBox({ version: 3n }),
        to: aBox({ version: 5n, state: 'paused' }),
        view: [
          change('state', '"running"', '"paused"'),
          change('options.workingDir', undefined, '"/\\u0007srv"'),
        ],
        statechart: [
          change('value', '{}', '"paused"'),
          change('context.frozen', 'false', 'true'),
          change('context.state'),
        ],
      });
    },
  });
  expect((await run('diff', 'web', '3')).stdout).toBe(
    [
      'web: version 3 → version 5',
      '  state               running → paused',
      '  options.workingDir  nothing → /\\u0007srv',
      '  (frozen)            false → true',
      '',
    ].join('\n'),
  );
  expect(asked).toMatchObject(
    DiffRequest.fromPartial({ box: 'web', from: { when: { $case: 'version', value: 3n } } }),
  );
  expect(jsonLines((await run('diff', 'web', '3', '5', '--json')).stdout)).toMatchObject([
    {
      from: { version: 3 },
      to: { state: 'paused' },
      view: [{ path: 'state', before: 'running' }, { after: '/\u0007srv' }],
    },
  ]);
});

const at = (ms: number) => new Date(noon + ms);
const chain: readonly NonNullable<ChainLink['node']>[] = [
  {
    $case: 'ask',
    value: {
      commandId: 'cmd-1',
      actor: { kind: 'user', id: 'ann' },
      reason: 'to\u001b[31msee',
      causationId: undefined,
      traceparent: undefined,
      at: at(0),
    },
  },
  {
    $case: 'event',
    value: anEvent({ type: 'box.startRequested', version: 2n, dataJson: '{}', occurredAt: at(0) }),
  },
  {
    $case: 'effect',
    value: {
      effectId: 'bx_0123456789abcdef-2-vm.boot',
      kind: 'vm.boot',
      state: 'settled',
      hostId: 'hs_0123456789abcdef',
      attempts: 1,
      deadline: undefined,
      lastErrorJson: undefined,
    },
  },
  {
    $case: 'attempt',
    value: {
      effectId: 'bx_0123456789abcdef-2-vm.boot',
      number: 1,
      actor: { kind: 'system', id: 'host/hs_0123456789abcdef' },
      endedAt: at(1234),
    },
  },
  {
    $case: 'event',
    value: anEvent({
      type: 'box.startFailed',
      version: 3n,
      dataJson: '{"failure":{"code":"Unavailable","message":"no"}}',
      occurredAt: at(1234),
      hash: 'cd'.repeat(32),
    }),
  },
];

test('why shows the chain with its times, each link under what led to it', async () => {
  const asked: WhyRequest[] = [];
  const { run } = await served({
    why: ({ request }, answer) => {
      asked.push(request);
      const [event] = chain.slice(-1);
      answer(
        null,
        WhyResponse.fromPartial({
          event: event?.$case === 'event' ? event.value : undefined,
          links: chain.map((node, depth) => ({ depth, node })),
        }),
      );
    },
  });
  const { stdout, code } = await run('why', 'web');
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    'box.startFailed, version 3 of box/bx_0123456789abcdef, at 2026-11-25T12:00:01.234Z',
    '12:00:00.000      +0 ms  ann asked, because "to\\u001b[31msee"  [cmd-1]',
    '12:00:00.000      +0 ms    └ box.startRequested  box/bx_0123456789abcdef@2',
    '                             └ vm.boot on hs_0123456789abcdef: settled after 1 attempt',
    '12:00:01.234    +1.23 s        └ attempt 1 by host/hs_0123456789abcdef ended',
    '12:00:01.234    +1.23 s          └ box.startFailed  box/bx_0123456789abcdef@3  failure {"code":"Unavailable","message":"no"}  ◀',
    '',
  ]);
  expect(jsonLines((await run('why', 'web', '--event', '3', '--json')).stdout)).toMatchObject([
    {
      event: { type: 'box.startFailed' },
      links: [
        { depth: 0, kind: 'ask' },
        { kind: 'event' },
        { kind: 'effect', effect: 'vm.boot' },
        { kind: 'attempt', number: 1 },
        { depth: 4 },
      ],
    },
  ]);
  await run('why', 'web', '--command-id', 'cmd-1');
  expect(asked.map(({ about }) => about)).toEqual([
    undefined,
    { $case: 'version', value: 3n },
    { $case: 'commandId', value: 'cmd-1' },
  ]);
  expect(await run('why', 'web', '--event', '0')).toMatchObject({ code: 125 });
  expect(await run('why', 'web', '--event', '1', '--command-id', 'x')).toMatchObject({ code: 125 });
});

describe('explain', () => {
  const explaining = async (answer: ExplainResponse['answer']) => {
    const asked: ExplainRequest[] = [];
    const { run } = await served({
      explain: ({ request }, respond) => {
        asked.push(request);
        respond(null, ExplainResponse.create({ box: aBox(), answer }));
      },
    });
    return { run, asked };
  };
  const accepted: ExplainResponse['answer'] = {
    $case: 'accepted',
    value: {
      box: aBox({ state: 'stopping', version: 4n }),
      events: [
        {
          streamId: 'box/bx_0123456789abcdef',
          version: 4n,
          type: 'box.stopRequested',
          dataJson: '{"thenRemove":false}',
          state: 'stopping',
          onceRunning: false,
        },
      ],
      effects: [
        {
          effectId: 'bx_0123456789abcdef-4-vm.shutdown',
          kind: 'vm.shutdown',
          hostId: 'hs_0123456789abcdef',
          notBefore: undefined,
          deadline: at(72_000),
        },
      ],
      cancels: ['bx_0123456789abcdef-2-vm.boot'],
    },
  };

  test('says what would be accepted, with its events and effects', async () => {
    const { run, asked } = await explaining(accepted);
    expect(await run('explain', 'web', 'stop', '-t', '30', '--expected-version', '3')).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        'would be accepted: running → stopping',
        '  event   box.stopRequested (version 4)  {"thenRemove":false}',
        '  effect  vm.shutdown on hs_0123456789abcdef, to be done by 2026-11-25T12:01:12.000Z',
        '  cancels bx_0123456789abcdef-2-vm.boot',
        '',
      ].join('\n'),
    });
    expect(asked[0]).toMatchObject({
      expectedVersion: 3n,
      command: { $case: 'stop', value: { timeoutMs: 30_000 } },
    });
    expect(jsonLines((await run('explain', 'web', 'stop', '--json')).stdout)).toMatchObject([
      {
        answer: 'accepted',
        box: { state: 'running' },
        after: { state: 'stopping' },
        events: [{ state: 'stopping' }],
      },
    ]);
  });

  test('exits with 1 for what would be refused, and says what would help', async () => {
    const refused = {
      code: 'InvalidState',
      message: 'box web is running',
      help: 'Stop it first.',
      detailsJson: '{}',
    };
    const { run } = await explaining({ $case: 'refused', value: refused });
    expect(await run('explain', 'web', 'rm')).toEqual({
      code: 1,
      stderr: '',
      stdout: 'would be refused: box web is running (InvalidState)\n  Stop it first.\n',
    });
    expect(await run('explain', 'web', 'rm', '--json')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('"answer":"refused"'),
    });
  });

  test('says that a command would change nothing', async () => {
    const { run } = await explaining({ $case: 'alreadySo', value: {} });
    expect(await run('explain', 'web', 'start')).toMatchObject({
      code: 0,
      stdout: 'would change nothing: the box is running\n',
    });
  });

  test('sends each command as it was given', async () => {
    const { run, asked } = await explaining({ $case: 'alreadySo', value: {} });
    await run('explain', 'web', 'rm', '-f');
    await run('explain', 'web', 'exec', '--no-auto-start', '--', 'ls', '-l');
    await run('explain', 'web', 'pause');
    await run('explain', 'web', 'resume');
    await run('explain', 'web', 'pause', '--max-duration', '1h30m');
    await run('explain', 'web', 'restart', '-t', '3');
    await run('explain', 'web', 'rename', 'other');
    await run('explain', 'web', 'snapshot', 'create');
    await run('explain', 'web', 'snapshot', 'rm', 'old');
    await run('explain', 'web', 'snapshot', 'restore', 'old');
    await run('explain', 'web', 'clone', '-n', '2');
    await run('explain', 'web', 'export');
    expect(asked.map(({ command }) => command)).toMatchObject([
      { $case: 'remove', value: { force: true } },
      { $case: 'exec', value: { command: 'ls', args: ['-l'], autoStart: false } },
      { $case: 'pause' },
      { $case: 'resume' },
      { $case: 'pause', value: { maxDurationMs: 5_400_000n } },
      { $case: 'restart', value: { timeoutMs: 3_000 } },
      { $case: 'rename', value: { name: 'other' } },
      { $case: 'snapshot', value: { name: '' } },
      { $case: 'removeSnapshot', value: { snapshot: 'old' } },
      { $case: 'restore', value: { snapshot: 'old' } },
      { $case: 'clone', value: { names: [], count: 2 } },
      { $case: 'export' },
    ]);
  });

  test.each([
    [['dance'], '<command>'],
    [['exec'], '[program]'],
    [['start', '-f'], '--force'],
    [['rm', '-t', '3'], '--timeout'],
    [['stop', '--no-auto-start'], '--no-auto-start'],
    [['stop', 'now'], '[argument]'],
    [['rename'], '[name]'],
    [['rename', 'a', 'b'], '[name]'],
    [['stop', '-n', '2'], '--count'],
    [['snapshot'], '<command>'],
    [['snapshot', 'keep'], '<command>'],
    [['snapshot', 'rm'], '[snapshot]'],
    [['toString'], '<command>'],
  ])('refuses %j, naming what is wrong', async (words, field) => {
    const { run, asked } = await explaining({ $case: 'alreadySo', value: {} });
    expect(await run('explain', 'web', ...words)).toMatchObject({
      code: 125,
      stderr: expect.stringContaining(field),
    });
    expect(asked).toEqual([]);
  });
});
