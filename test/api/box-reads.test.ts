import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CreateRequest, StartRequest, type WatchResponse } from '../../src/gen/boxledger/v1/box_service.ts';
import type {
  ReadAllRequest,
  ReadAllResponse,
  ReadStreamResponse,
} from '../../src/gen/boxledger/v1/event_service.ts';
import { eventually } from '../support/eventually.ts';
import { call, failureOf, type RunningApi, richDetails } from './api-under-test.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

let plane: HandMade;
let api: RunningApi;
beforeAll(async () => {
  plane = await handMade();
  api = plane.api;
});
afterAll(() => plane.close());

const create = (name: string) =>
  call(api.boxes, api.boxes.create, { ...CreateRequest.decode(new Uint8Array()), name });
const start = (box: string) =>
  call(api.boxes, api.boxes.start, { ...StartRequest.decode(new Uint8Array()), box });
const everything: ReadAllRequest = { cursor: '', types: [], categories: [], follow: false, limit: 0n };
const readAll = async (given: Partial<ReadAllRequest>) => {
  const events: ReadAllResponse['event'][] = [];
  for await (const { event } of api.events.readAll({
    ...everything,
    ...given,
  }) as AsyncIterable<ReadAllResponse>)
    events.push(event);
  return events;
};
const readStream = async (streamId: string, afterVersion = 0n, limit = 0n, types: string[] = []) => {
  const events: ReadStreamResponse['event'][] = [];
  const stream = api.events.readStream({ streamId, afterVersion, types, limit });
  for await (const { event } of stream as AsyncIterable<ReadStreamResponse>) events.push(event);
  return events;
};

/** Global reads stay behind the oldest write under way on the server, and other tests write too. */
const readable = (streamId: string, version: bigint) =>
  eventually(`version ${version} of ${streamId} can be read in the global order`, async () =>
    (await readAll({})).some((event) => event?.streamId === streamId && event.version === version),
  );

test('the log is read whole, by type, from a cursor on and up to a limit', async () => {
  const { box } = await create('logged-1');
  await create('logged-2');
  await start('logged-1');
  await readable(`box/${box?.boxId}`, 2n);
  const all = await readAll({});
  expect(all.map((event) => event?.type)).toEqual(['box.created', 'box.created', 'box.startRequested']);
  expect(await readAll({ cursor: all[0]?.cursor ?? '' })).toEqual(all.slice(1));
  expect(await readAll({ limit: 2n })).toEqual(all.slice(0, 2));
  expect(await readAll({ types: ['box.startRequested'] })).toEqual(all.slice(2));
  expect(await readAll({ categories: ['exec'] })).toEqual([]);
});

test('a stream is read after a version, up to a limit and by type; one that does not exist is not found', async () => {
  const { box } = await create('streamed');
  await start('streamed');
  const streamId = `box/${box?.boxId}`;
  expect((await readStream(streamId)).map((event) => event?.version)).toEqual([1n, 2n]);
  expect((await readStream(streamId, 1n)).map((event) => event?.type)).toEqual(['box.startRequested']);
  expect(await readStream(streamId, 0n, 1n)).toHaveLength(1);
  expect(await readStream(streamId, 0n, 1n, ['box.startRequested'])).toMatchObject([{ version: 2n }]);
  expect(status[(await failureOf(readStream(streamId, 0n, 0n, ['box.strated']))).code]).toBe(
    'INVALID_ARGUMENT',
  );
  expect(await readStream(streamId, 99n)).toEqual([]);
  expect(status[(await failureOf(readStream('box/bx_0000000000000000'))).code]).toBe('NOT_FOUND');
});

test('a cursor that this log did not give is the fault of the caller', async () => {
  const error = await failureOf(readAll({ cursor: 'yesterday' }));
  expect(status[error.code]).toBe('INVALID_ARGUMENT');
  expect(richDetails(error).violations).toMatchObject([{ field: 'cursor' }]);
});

test('a watch says when it has caught up and goes on live', async () => {
  const { box } = await create('watched');
  await readable(`box/${box?.boxId}`, 1n);
  const watch = api.boxes.watch({ box: 'watched', types: [], cursor: '', fromNow: false });
  const messages = (watch as AsyncIterable<WatchResponse>)[Symbol.asyncIterator]();
  const next = async () => (await messages.next()).value.message;
  expect(await next()).toMatchObject({ $case: 'event', value: { type: 'box.created' } });
  expect(await next()).toMatchObject({ $case: 'caughtUp' });
  await start('watched');
  expect(await next()).toMatchObject({ $case: 'event', value: { type: 'box.startRequested' } });
  watch.cancel();
  await expect(messages.next()).rejects.toMatchObject({ code: status.CANCELLED });
});

test('a watch from now says nothing of what was', async () => {
  const { box } = await create('from-now');
  await readable(`box/${box?.boxId}`, 1n);
  const watch = api.boxes.watch({ box: 'from-now', types: [], cursor: '', fromNow: true });
  const messages = (watch as AsyncIterable<WatchResponse>)[Symbol.asyncIterator]();
  expect((await messages.next()).value.message).toMatchObject({ $case: 'caughtUp' });
  await start('from-now');
  expect((await messages.next()).value.message).toMatchObject({ value: { type: 'box.startRequested' } });
  watch.cancel();
  await expect(messages.next()).rejects.toMatchObject({ code: status.CANCELLED });
});

test('waiting ends when the box is in one of the states, and at once when it is already', async () => {
  await create('waited');
  const waiting = call(api.boxes, api.boxes.wait, { box: 'waited', states: ['failed', 'running'] });
  await start('waited');
  await plane.succeed('waited', 'vm.boot');
  expect((await waiting).box?.state).toBe('running');
  expect((await call(api.boxes, api.boxes.wait, { box: 'waited', states: ['running'] })).box?.name).toBe(
    'waited',
  );
});

test('waiting for what does not come about says at the deadline what the box is doing', async () => {
  await create('unmoved');
  const error = await failureOf(
    call(api.boxes, api.boxes.wait, { box: 'unmoved', states: ['running'] }, { deadlineMs: 2000 }),
  );
  expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  expect(richDetails(error).info?.metadata).toMatchObject({ state: '"configured"' });
});

test('boxes are listed in pages, oldest first', async () => {
  for (const name of ['page-a', 'page-b', 'page-c']) await create(name);
  const list = (pageToken: string) =>
    call(api.boxes, api.boxes.list, {
      states: ['configured'],
      labels: {},
      namePrefix: 'page-',
      includeRemoved: false,
      pageSize: 2,
      pageToken,
    });
  const first = await list('');
  expect(first.boxes.map(({ name }) => name)).toEqual(['page-a', 'page-b']);
  const second = await list(first.nextPageToken);
  expect(second.boxes.map(({ name }) => name)).toEqual(['page-c']);
  expect(second.nextPageToken).toBe('');
});
