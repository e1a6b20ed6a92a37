import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BoxOptions } from '../../src/gen/boxledger/v1/box.ts';
import {
  CreateRequest,
  ListRequest,
  StopRequest,
  WaitRequest,
} from '../../src/gen/boxledger/v1/box_service.ts';
import {
  call,
  failureOf,
  type RunningApi,
  startApi,
  unreachableDeps,
  violationsOf,
} from './api-under-test.ts';

/** Nothing behind the wire's door can be reached here: a request that came past it would fail as Internal. */
let api: RunningApi;
let raw: Client;
beforeAll(async () => {
  api = await startApi(unreachableDeps());
  raw = new Client(api.address, credentials.createInsecure());
});
afterAll(async () => {
  raw.close();
  await api.close();
});

const create = (request: Partial<CreateRequest>) =>
  call(api.boxes, api.boxes.create, { ...CreateRequest.decode(new Uint8Array()), ...request });
const options = (given: Partial<BoxOptions>): BoxOptions => ({ env: {}, labels: {}, ...given });
/** A unary call with these very bytes. */
const send = (method: string, bytes: Uint8Array): Promise<unknown> =>
  new Promise((resolve, reject) => {
    raw.makeUnaryRequest(
      `/boxledger.v1.${method}`,
      (request: Uint8Array) => Buffer.from(request),
      (response: Buffer) => response,
      bytes,
      new Metadata(),
      (error: ServiceError | null, response) => (error === null ? resolve(response) : reject(error)),
    );
  });

test('a key that would be lost on the way is refused wherever there are keys', async () => {
  const lost = JSON.parse('{"__proto__": "x", "constructor": "y"}');
  expect(await violationsOf(create({ name: 'a', options: options({ env: lost, labels: lost }) }))).toEqual({
    'options.env.__proto__': 'is a key that cannot be kept',
    'options.labels.__proto__': 'is a key that cannot be kept',
  });
  const listed = call(api.boxes, api.boxes.list, { ...ListRequest.decode(new Uint8Array()), labels: lost });
  expect(Object.keys(await violationsOf(listed))).toEqual(['labels.__proto__']);
});

test('a box with many faults hears of all of them at once, each under its field', async () => {
  const faults = await violationsOf(
    create({
      name: 'a/b',
      mutation: { commandId: 'has space', reason: 'r'.repeat(2000) },
      options: options({
        cpus: -1,
        memoryMib: 3,
        workingDir: 'relative',
        network: 'bridge',
        env: { 'A=B': 'x', '': 'y', LONG: 'v'.repeat(40_000) },
        labels: { k: 'v'.repeat(300) },
      }),
    }),
  );
  expect(Object.keys(faults).sort()).toEqual(
    [
      'mutation.command_id',
      'mutation.reason',
      'name',
      'options.cpus',
      'options.env.',
      'options.env.A=B',
      'options.env.LONG',
      'options.labels.k',
      'options.memory_mib',
      'options.network',
      'options.working_dir',
    ].sort(),
  );
  expect(faults).toMatchObject({
    'options.env.A=B': 'must not contain "="',
    'options.cpus': 'must be 0.01 or more',
    'options.memory_mib': 'must be 16 or more',
    'options.network': 'must be one of none, host',
  });
});

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 4.01, 300])('cpus %d are refused', async (cpus) => {
  expect(Object.keys(await violationsOf(create({ options: options({ cpus }) })))).toEqual(['options.cpus']);
});

test('memory over that of the largest host is refused, and the message says how much there is', async () => {
  const faults = await violationsOf(create({ options: options({ memoryMib: 8193 }) }));
  expect(faults).toEqual({ 'options.memory_mib': 'no host has more than 8192' });
});

test.each(['a/b', 'a\0b', '-a', '.a', 'a b', 'ä', 'a'.repeat(64), 'bx_0123456789abcdef'])(
  'a box cannot be named %j',
  async (name) => {
    expect(Object.keys(await violationsOf(create({ name })))).toEqual(['name']);
  },
);

test('a health check that asks for more than a day between probes, or for one, is refused', async () => {
  const dayMs = 24 * 60 * 60 * 1000;
  const healthCheck = { command: [], intervalMs: dayMs + 1, timeoutMs: dayMs + 1 };
  const faults = await violationsOf(create({ options: options({ healthCheck }) }));
  expect(Object.keys(faults).toSorted()).toEqual([
    'options.health_check.interval_ms',
    'options.health_check.timeout_ms',
  ]);
});

test('fields that the contract does not know are refused, however deep', async () => {
  const bytes = new BinaryWriter()
    .uint32(26)
    .fork()
    .uint32((77 << 3) | 0)
    .uint32(1)
    .join()
    .uint32((99 << 3) | 2)
    .string('x')
    .finish();
  const faults = await violationsOf(send('BoxService/Create', bytes));
  expect(Object.keys(faults).sort()).toEqual(['options', 'request']);
  expect(faults['options']).toContain('77');
  expect(faults['request']).toContain('99');
});

test('a known field of another type is refused', async () => {
  const nameAsNumber = new BinaryWriter()
    .uint32((2 << 3) | 0)
    .uint32(5)
    .finish();
  expect((await violationsOf(send('BoxService/Create', nameAsNumber)))['request']).toContain('2');
});

test('text that is not UTF-8 is refused, and the fault says where', async () => {
  const bad = Uint8Array.of(0x61, 0xff, 0xfe);
  const env = new BinaryWriter().uint32(10).bytes(bad).uint32(18).bytes(bad).finish();
  const bytes = new BinaryWriter()
    .uint32(18)
    .bytes(bad)
    .uint32(26)
    .fork()
    .uint32(26)
    .bytes(env)
    .join()
    .finish();
  const faults = await violationsOf(send('BoxService/Create', bytes));
  expect(Object.keys(faults)).toContain('name');
  expect(Object.keys(faults).filter((field) => field.startsWith('options.env.'))).toHaveLength(1);
});

test.each([
  ['cut short', Uint8Array.of(0x12, 0x7f, 0x61)],
  ['not a message at all', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
])('bytes that are %s are the fault of the caller', async (_, bytes) => {
  expect((await violationsOf(send('BoxService/Create', bytes)))['request']).toContain('not a valid protobuf');
});

test('a message over the limit is refused before it is read', async () => {
  const error = await failureOf(send('BoxService/Create', new Uint8Array(5 * 1024 * 1024)));
  expect(status[error.code]).toBe('RESOURCE_EXHAUSTED');
});

test('reads are parsed as strictly as commands', async () => {
  const list = ListRequest.decode(new Uint8Array());
  expect(
    Object.keys(
      await violationsOf(
        call(api.boxes, api.boxes.list, { ...list, states: ['running', 'asleep'], pageSize: 1001 }),
      ),
    ),
  ).toEqual(['states[1]', 'page_size']);
  expect(
    Object.keys(await violationsOf(call(api.boxes, api.boxes.wait, WaitRequest.decode(new Uint8Array())))),
  ).toEqual(['box', 'states']);
});

test('an actor that cannot be recorded is refused', async () => {
  const faults = await violationsOf(
    call(api.boxes, api.boxes.get, { box: 'web' }, { metadata: { 'x-boxledger-actor': 'a'.repeat(300) } }),
  );
  expect(Object.keys(faults)).toEqual(['metadata.x-boxledger-actor']);
});

test('what breaks behind the door is Internal, and does not say what broke', async () => {
  const error = await failureOf(call(api.boxes, api.boxes.get, { box: 'web' }));
  expect(status[error.code]).toBe('INTERNAL');
  expect(error.details).not.toContain('reached');
});

test('a stop that would wait longer than any may is refused', async () => {
  const stop = StopRequest.create({ box: 'web', timeoutMs: 4_000_000_000 });
  expect(await violationsOf(call(api.boxes, api.boxes.stop, stop))).toEqual({
    timeout_ms: 'must be at most 3600000',
  });
});
