import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import type { ConsoleRequest } from '../../src/gen/boxledger/v1/box_metrics.ts';
import { MetricsResponse } from '../../src/gen/boxledger/v1/box_metrics.ts';
import type { ListRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { aBox, wireRefusal } from '../sdk/scripted-server.ts';
import { jsonLines } from './in-process.ts';
import { served } from './served.ts';

const at = new Date('2026-11-26T12:00:00.000Z');
const someMetrics = (fields: Partial<MetricsResponse> = {}) =>
  MetricsResponse.fromPartial({
    boxId: 'bx_0123456789abcdef',
    name: 'web',
    state: 'running',
    generation: 2,
    usage: {
      cpuMs: 1500n,
      cpuPercent: 12.345,
      memoryBytes: 40n << 20n,
      memoryLimitBytes: 512n << 20n,
      processes: 3,
      diskReadBytes: 1536n,
      diskWrittenBytes: 0n,
      measuredAt: at,
    },
    startStagesMs: { queued: 4n, guest: 150n },
    execs: 5n,
    execErrors: 1n,
    ...fields,
  });

const none = wireRefusal(status.NOT_FOUND, { code: 'NotFound', message: 'There is no box.', help: 'List.' });

test('stats is a table of the boxes that are up', async () => {
  let asked: ListRequest | undefined;
  const { run } = await served({
    list: ({ request }, answer) => {
      asked = request;
      answer(null, { boxes: [aBox(), aBox({ boxId: 'bx_0123456789abcdeg' })], nextPageToken: '' });
    },
    metrics: ({ request }, answer) =>
      // The second one goes between the list and the question.
      request.box === 'bx_0123456789abcdef' ? answer(null, someMetrics()) : answer(none),
  });
  expect(await run('stats')).toEqual({
    code: 0,
    stderr: '',
    stdout:
      'BOX ID               NAME  STATE    CPU %   MEM USAGE / LIMIT  MEM %  DISK READ / WRITE  PROCS  EXECS\n' +
      'bx_0123456789abcdef  web   running  12.35%  40MiB / 512MiB     7.81%  1.5KiB / 0B        3      5\n',
  });
  expect(asked?.states).toEqual(['running', 'pausing', 'paused', 'resuming', 'stopping']);
});

test('stats as JSON has every field, null where it is not known', async () => {
  const { run } = await served({
    metrics: (_, answer) => answer(null, someMetrics({ usage: undefined, state: 'configured' })),
  });
  expect(jsonLines((await run('stats', 'web', '--json')).stdout)).toEqual([
    {
      boxId: 'bx_0123456789abcdef',
      name: 'web',
      state: 'configured',
      generation: 2,
      usage: null,
      startStagesMs: { queued: 4, guest: 150 },
      execs: 5,
      execErrors: 1,
    },
  ]);
});

test('a box that is named and not there is a failure, and the others are shown', async () => {
  const { run } = await served({
    metrics: ({ request }, answer) => (request.box === 'web' ? answer(null, someMetrics()) : answer(none)),
  });
  const { code, stdout, stderr } = await run('stats', 'nobody', 'web');
  expect(code).toBe(125);
  expect(stdout).toContain('12.35%');
  expect(stderr).toContain('There is no box.');
});

test('stats that are followed are lines where no terminal is, until Ctrl-C', async () => {
  const { start } = await served({ metrics: (_, answer) => answer(null, someMetrics()) });
  const command = start(['stats', 'web', '--follow', '--interval', '0.1']);
  const line =
    '2026-11-26T12:00:00.000Z  web  running  cpu 12.35%  mem 40MiB / 512MiB  disk 1.5KiB / 0B  procs 3  execs 5\n';
  await command.shown(line + line);
  command.signal('SIGINT');
  expect((await command.done).code).toBe(130);
  expect(command.handlers()).toBe(0);
});

test('on a terminal each picture is drawn over the one before, no wider than the screen', async () => {
  const { start } = await served({ metrics: (_, answer) => answer(null, someMetrics()) });
  const command = start(['stats', 'web', '-f', '--interval', '0.1'], { tty: true, columns: 30 });
  const picture = '\x1b[HBOX ID               NAME  STA\x1b[K\nbx_0123456789abcdef  web   run\x1b[K\n\x1b[J';
  await command.shown(`\x1b[2J${picture}${picture}`);
  command.signal('SIGINT');
  expect((await command.done).code).toBe(130);
});

test('stats of the service are what is now, and what it has counted', async () => {
  const { run } = await served({
    serviceMetrics: (_, answer) =>
      answer(null, {
        boxesByState: { stopped: 2, running: 10 },
        countedSince: at,
        boxesCreated: 12n,
        startsFailed: 0n,
        boxesStopped: 3n,
        execs: 7n,
        execErrors: 1n,
        effects: [{ kind: 'vm.boot', outcome: 'succeeded', count: 13n }],
      }),
  });
  expect((await run('stats', '--service')).stdout).toBe(
    [
      'WHAT               SINCE 2026-11-26T12:00:00.000Z',
      'now running        10',
      'now stopped        2',
      'created            12',
      'starts failed      0',
      'stopped            3',
      'execs              7',
      'exec errors        1',
      'vm.boot succeeded  13\n',
    ].join('\n'),
  );
  expect(jsonLines((await run('stats', '--service', '--json')).stdout)).toMatchObject([
    {
      boxesByState: { running: 10, stopped: 2 },
      effects: [{ kind: 'vm.boot', outcome: 'succeeded', count: 13 }],
    },
  ]);
});

test('what cannot be had together is said all at once', async () => {
  const { run } = await served({});
  const { code, stderr } = await run('stats', 'web', '--service', '--all', '--interval', '2');
  expect(code).toBe(125);
  for (const flag of ['--service', '--all', '--interval']) expect(stderr).toContain(`${flag}: `);
});

test('top lists the processes of a box, and what a process calls itself cannot repaint the terminal', async () => {
  const { run } = await served({
    processes: (_, answer) =>
      answer(null, {
        processes: [
          {
            pid: 2,
            hostPid: 812,
            hostParentPid: 800,
            cpuMs: 67_350n,
            memoryBytes: 3n << 20n,
            stopped: false,
            command: 'sh\x1b[2J -c x',
          },
        ],
      }),
  });
  expect((await run('top', 'web')).stdout).toBe(
    'PID  HOST PID  HOST PPID  CPU TIME  MEM   STATE  COMMAND\n' +
      '2    812       800        1:07.35   3MiB  runs   sh\\x1b[2J -c x\n',
  );
  expect(jsonLines((await run('top', 'web', '--json')).stdout)).toMatchObject([
    { hostPid: 812, cpuMs: 67_350 },
  ]);
});

test('logs show a console as it is written', async () => {
  const asked: ConsoleRequest[] = [];
  const { run } = await served({
    console: (call) => {
      asked.push(call.request);
      call.write({ text: 'one\nt' });
      call.write({ text: 'wo' });
      call.end();
    },
  });
  expect(await run('logs', 'web')).toEqual({ code: 0, stdout: 'one\ntwo', stderr: '' });
  expect((await run('logs', '-f', '-n', '20', 'web', '--json')).stdout).toBe(
    '{"text":"one\\nt"}\n{"text":"wo"}\n',
  );
  expect(asked).toMatchObject([
    { box: 'web', follow: false, tailLines: undefined },
    { box: 'web', follow: true, tailLines: 20 },
  ]);
  expect((await run('logs', 'web', '--tail', '-1')).code).toBe(125);
});
