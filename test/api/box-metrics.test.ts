import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CallObserver } from '../../src/api/call-observer.ts';
import type { GuestAccess } from '../../src/api/guest-access.ts';
import type { ServiceCounts } from '../../src/api/service-counts.ts';
import type { ConsoleResponse } from '../../src/gen/boxledger/v1/box_metrics.ts';
import { CreateRequest, StartRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { timestamp } from '../../src/kernel/time.ts';
import { call, failureOf } from './api-under-test.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

const at = timestamp('2026-11-26T12:00:00.000Z');
const counts: ServiceCounts = {
  since: at,
  boxesCreated: 3,
  startsFailed: 1,
  boxesStopped: 2,
  execs: { execs: 9, errors: 4 },
  effects: [{ kind: 'vm.boot', end: 'unheard', count: 5 }],
};

const text = 'one\ntwo\nthree\n';
const calls: string[] = [];
const callObserver: CallObserver = {
  began: () => undefined,
  ended: ({ type, service, method }, code) => calls.push(`${type} ${service}/${method} ${code}`),
};

const guests: GuestAccess = {
  admit: () => Promise.reject(new Error('metrics start nothing')),
  open: () => Promise.reject(new Error('metrics enter nothing')),
  usage: async ({ view }) =>
    view.state === 'configured'
      ? undefined
      : { measuredAt: at, cpuMs: 12.6, cpuPercent: 50, memoryBytes: 1024, processes: 2, diskReadBytes: 8 },
  processes: async () => [
    {
      pid: 2,
      hostPid: 77,
      hostParentPid: 70,
      cpuMs: 1.2,
      memoryBytes: 5,
      stopped: false,
      command: 'a\0\ud800b',
    },
  ],
  console: async () => text,
  followConsole: async function* () {
    yield text;
    yield 'four';
  },
};

let plane: HandMade;
beforeAll(async () => {
  plane = await handMade(undefined, { counts, guests, callObserver });
});
afterAll(() => plane.close());

const create = (name: string) =>
  call(plane.api.boxes, plane.api.boxes.create, { ...CreateRequest.decode(new Uint8Array()), name });

test('metrics of a box that never ran are its state and its counts', async () => {
  const { box } = await create('measured');
  expect(await call(plane.api.boxes, plane.api.boxes.metrics, { box: 'measured' })).toMatchObject({
    boxId: box?.boxId,
    name: 'measured',
    state: 'configured',
    generation: 0,
    usage: undefined,
    startStagesMs: {},
    execs: 0n,
    execErrors: 0n,
  });
});

test('metrics of a box that runs are what it uses, and the stages of its last start', async () => {
  await create('running');
  await call(plane.api.boxes, plane.api.boxes.start, {
    ...StartRequest.decode(new Uint8Array()),
    box: 'running',
  });
  await plane.succeed('running', 'vm.boot');
  const metrics = await call(plane.api.boxes, plane.api.boxes.metrics, { box: 'running' });
  expect(metrics).toMatchObject({
    state: 'running',
    generation: 1,
    startStagesMs: { queued: 3n, spawn: 40n },
    usage: {
      cpuMs: 13n,
      cpuPercent: 50,
      memoryBytes: 1024n,
      memoryLimitBytes: 512n << 20n,
      processes: 2,
      diskReadBytes: 8n,
      diskWrittenBytes: undefined,
      networkSentBytes: undefined,
      measuredAt: new Date(at),
    },
  });
});

test('the service says how many boxes it has by state, and what it has counted', async () => {
  await create('another');
  const service = await call(plane.api.boxes, plane.api.boxes.serviceMetrics, {});
  expect(service).toMatchObject({
    boxesCreated: 3n,
    startsFailed: 1n,
    boxesStopped: 2n,
    execs: 9n,
    execErrors: 4n,
    effects: [{ kind: 'vm.boot', outcome: 'unheard', count: 5n }],
  });
  expect(service.boxesByState['configured']).toBeGreaterThan(0);
});

test('processes are told with what they say of themselves as text that can be sent', async () => {
  await create('listed');
  const { processes } = await call(plane.api.boxes, plane.api.boxes.processes, { box: 'listed' });
  expect(processes).toMatchObject([
    { pid: 2, hostPid: 77, hostParentPid: 70, cpuMs: 1n, command: 'a \ufffdb' },
  ]);
});

test.each([
  [undefined, false, text],
  [2, false, 'two\nthree\n'],
  [3, false, text],
  [9, false, text],
  [0, false, ''],
  [1, true, 'three\nfour'],
  [0, true, 'four'],
])('the last %s lines of the console, followed: %s', async (tailLines, follow, expected) => {
  await create(`console-${tailLines}-${follow}`);
  let shown = '';
  const stream = plane.api.boxes.console({ box: `console-${tailLines}-${follow}`, tailLines, follow });
  for await (const part of stream as AsyncIterable<ConsoleResponse>) shown += part.text;
  expect(shown).toBe(expected);
});

test('every call is told of with its method and its status, also one that fails or is given up', async () => {
  calls.length = 0;
  await failureOf(call(plane.api.boxes, plane.api.boxes.metrics, { box: 'nobody' }));
  await call(plane.api.boxes, plane.api.boxes.serviceMetrics, {});
  const watch = plane.api.boxes.watch({ box: '', types: [], cursor: '', fromNow: true });
  const ended = new Promise<number>((resolve) =>
    watch.on('error', ({ code }: { code?: number }) => resolve(code ?? 0)),
  );
  watch.once('data', () => watch.cancel());
  expect(await ended).toBe(status.CANCELLED);
  await expect
    .poll(() => calls)
    .toEqual([
      'unary boxledger.v1.BoxService/Metrics NOT_FOUND',
      'unary boxledger.v1.BoxService/ServiceMetrics OK',
      expect.stringMatching(/^server_stream boxledger.v1.BoxService\/Watch /),
    ]);
});
