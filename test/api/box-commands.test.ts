import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSchema } from '../../src/api/requests.ts';
import {
  type CreateRequest,
  type PauseRequest,
  type RemoveRequest,
  StartRequest,
  StopRequest,
} from '../../src/gen/boxledger/v1/box_service.ts';
import { boxId, boxStream, noVersion } from '../../src/kernel/ids.ts';
import { call, failureOf, type RunningApi, richDetails } from './api-under-test.ts';
import { type HandMade, handMade, idOf } from './hand-made-host.ts';

let plane: HandMade;
let api: RunningApi;
beforeAll(async () => {
  plane = await handMade();
  api = plane.api;
});
afterAll(() => plane.close());

const create = (request: Partial<CreateRequest>, metadata: Record<string, string> = {}) =>
  call(
    api.boxes,
    api.boxes.create,
    { mutation: undefined, name: '', options: undefined, getOrCreate: false, ...request },
    { metadata },
  );
type Options = { deadlineMs?: number };
const start = (box: string, given: Partial<StartRequest> = {}, options: Options = {}) =>
  call(api.boxes, api.boxes.start, { ...StartRequest.decode(new Uint8Array()), box, ...given }, options);
const stop = (box: string, given: Partial<StopRequest> = {}) =>
  call(api.boxes, api.boxes.stop, { ...StopRequest.decode(new Uint8Array()), box, ...given });
const pause = (box: string, given: Partial<PauseRequest> = {}) =>
  call(api.boxes, api.boxes.pause, { mutation: undefined, box, wait: false, toDisk: false, ...given });
const remove = (box: string, given: Partial<RemoveRequest> = {}) =>
  call(api.boxes, api.boxes.remove, { mutation: undefined, box, wait: false, force: false, ...given });
const get = (box: string) => call(api.boxes, api.boxes.get, { box });
const started = async (name: string) => {
  await create({ name });
  await start(name);
  await plane.succeed(name, 'vm.boot');
};

test('a box is created with every default filled in, at version 1', async () => {
  const { box, created } = await create({ name: 'defaults' });
  expect(created).toBe(true);
  expect(box).toMatchObject({
    name: 'defaults',
    state: 'configured',
    version: 1n,
    options: { cpus: 1, memoryMib: 512, network: 'none', autoStart: true },
  });
});

test('a repeated create gives the first answer, with or without a name, and makes one box', async () => {
  const request = {
    mutation: { commandId: 'create-once' },
    options: { env: { A: '1' }, labels: { once: 'y' } },
  };
  const first = await create(request);
  const second = await create(request);
  expect(second).toEqual(first);
  const list = {
    states: [],
    labels: { once: 'y' },
    namePrefix: '',
    includeRemoved: true,
    pageSize: 0,
    pageToken: '',
  };
  expect((await call(api.boxes, api.boxes.list, list)).boxes).toHaveLength(1);
});

test('the same command id for something else is a conflict', async () => {
  await create({ mutation: { commandId: 'for-one-thing' }, name: 'one-thing' });
  const error = await failureOf(create({ mutation: { commandId: 'for-one-thing' }, name: 'another-thing' }));
  expect(status[error.code]).toBe('ABORTED');
});

test('get_or_create answers with the box whose options are the same, else names those that differ', async () => {
  const options = { cpus: 2, env: { B: '2', A: '1' }, labels: {} };
  const first = await create({ name: 'shared', options, getOrCreate: true });
  const same = { ...options, env: { A: '1', B: '2' } };
  expect(await create({ name: 'shared', options: same, getOrCreate: true })).toEqual({
    ...first,
    created: false,
  });
  const other = { ...options, memoryMib: 64, env: { A: '1' } };
  const error = await failureOf(create({ name: 'shared', options: other, getOrCreate: true }));
  expect(status[error.code]).toBe('ALREADY_EXISTS');
  expect(richDetails(error).info?.metadata).toMatchObject({ differing: '["memory_mib","env"]' });
});

test('who asked, why, and in which trace reaches the event', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const metadata = { 'x-boxledger-actor': 'ada@example.com', traceparent };
  const { box } = await create({ name: 'accounted', mutation: { reason: 'for the audit' } }, metadata);
  const [event] = await plane.store.log.readStream(boxStream(idOf(box)), noVersion, 1);
  expect(event).toMatchObject({
    actor: { kind: 'user', id: 'ada@example.com' },
    reason: 'for the audit',
    tenant: 'default',
    traceparent,
  });
  const { box: plain } = await create({ name: 'plain' });
  const [unsaid] = await plane.store.log.readStream(boxStream(idOf(plain)), noVersion, 1);
  expect(unsaid).toMatchObject({ actor: { kind: 'user', id: 'tester' }, reason: null, traceparent: null });
});

test('a box goes by its name, its id and the beginning of its id', async () => {
  const { box } = await create({ name: 'findable' });
  const id = box?.boxId ?? '';
  for (const reference of ['findable', id, id.slice(0, 15)])
    expect((await get(reference)).box?.boxId).toBe(id);
  expect(status[(await failureOf(get('nobody'))).code]).toBe('NOT_FOUND');
});

test('the beginning of several ids is refused with the ids', async () => {
  const boxIds = ['bx_zzzz000000000001', 'bx_zzzz000000000002'].map(boxId);
  const { options } = createSchema(plane.deps.capacity).parse({ name: '', getOrCreate: false });
  for (const [index, id] of boxIds.entries())
    await plane.deps.door.submit(
      { type: 'box.create', boxId: id, name: `twin-${index}`, options },
      { tenant: plane.deps.tenant, actor: plane.deps.localActor },
    );
  const error = await failureOf(get('bx_zzzz'));
  expect(status[error.code]).toBe('INVALID_ARGUMENT');
  expect(JSON.parse(richDetails(error).info?.metadata['boxIds'] ?? '').sort()).toEqual(boxIds);
});

test('a change is made only at the version that the caller names', async () => {
  await create({ name: 'versioned' });
  const error = await failureOf(start('versioned', { mutation: { expectedVersion: 7n } }));
  expect(status[error.code]).toBe('ABORTED');
  expect((await start('versioned', { mutation: { expectedVersion: 1n } })).box).toMatchObject({
    state: 'starting',
    version: 2n,
  });
});

test('a start that is waited for answers with the running box', async () => {
  await create({ name: 'awaited' });
  const answer = start('awaited', { wait: true });
  await plane.succeed('awaited', 'vm.boot');
  expect((await answer).box).toMatchObject({ state: 'running', process: { pid: 4711 } });
});

test('a start that fails ends the call with its failure', async () => {
  await create({ name: 'doomed' });
  const answer = failureOf(start('doomed', { wait: true }));
  const details = { console: 'panic: no init found' };
  await plane.fail('doomed', 'vm.boot', { code: 'ResourceExhausted', message: 'no memory left', details });
  const error = await answer;
  expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'no memory left' });
  expect(richDetails(error).info?.metadata).toMatchObject({
    console: '"panic: no init found"',
    name: '"doomed"',
  });
});

test('a start that somebody stops is told so, and the stop goes on', async () => {
  await create({ name: 'overtaken' });
  const answer = failureOf(start('overtaken', { wait: true }));
  await stop('overtaken').catch(() => undefined); // too early is all right
  const stopping = stop('overtaken', { wait: true });
  const error = await answer;
  expect(status[error.code]).toBe('FAILED_PRECONDITION');
  expect(richDetails(error).info?.metadata).toMatchObject({ event: '"box.stopRequested"' });
  await plane.succeed('overtaken', 'vm.shutdown');
  expect((await stopping).box).toMatchObject({ state: 'stopped' });
});

test('when the deadline passes the call says what the box is doing, and the start stays recorded', async () => {
  await create({ name: 'late' });
  const error = await failureOf(start('late', { wait: true }, { deadlineMs: 3000 }));
  expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  expect(richDetails(error).info?.metadata).toMatchObject({ state: '"starting"' });
  await plane.succeed('late', 'vm.boot');
  expect((await get('late')).box?.state).toBe('running');
});

test('a pause, a stop and a removal that are waited for answer when they have come about', async () => {
  await started('cycle');
  const paused = pause('cycle', { wait: true });
  await plane.succeed('cycle', 'vm.pause');
  expect((await paused).box?.state).toBe('paused');
  const stopped = stop('cycle', { wait: true });
  await plane.succeed('cycle', 'vm.shutdown');
  expect((await stopped).box?.state).toBe('stopped');
  expect((await stop('cycle', { wait: true })).box?.state).toBe('stopped');
  const removed = remove('cycle', { wait: true });
  await plane.succeed('cycle', 'disk.remove');
  expect((await removed).box?.state).toBe('removed');
});

test('a removal by name that is repeated gets its first answer, and another one does not find the box', async () => {
  await create({ name: 'fleeting' });
  const mutation = { commandId: 'remove-fleeting' };
  const first = await remove('fleeting', { mutation });
  expect(first.box?.state).toBe('removed');
  expect(await remove('fleeting', { mutation, wait: true })).toEqual(first);
  const another = await failureOf(remove('fleeting', { mutation: { commandId: 'remove-again' } }));
  expect(status[another.code]).toBe('NOT_FOUND');
  expect(status[(await failureOf(remove('fleeting'))).code]).toBe('NOT_FOUND');
});

test('what the state does not allow is a failed precondition that says what would help', async () => {
  await started('busy');
  const error = await failureOf(remove('busy'));
  expect(status[error.code]).toBe('FAILED_PRECONDITION');
  expect(richDetails(error).info).toMatchObject({ reason: 'InvalidState' });
  expect(richDetails(error).info?.metadata['help']).toBeTruthy();
});
