import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import type { WatchResponse } from '../../src/gen/boxledger/v1/box_service.ts';
import { CreateRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import {
  call,
  failureOf,
  type RunningApi,
  richDetails,
  startApi,
  unreachableDeps,
} from './api-under-test.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
const withToken = async (token: string): Promise<RunningApi> => {
  const api = await startApi({ ...unreachableDeps(), token });
  closing.push(() => api.close());
  return api;
};
const plane = async (): Promise<HandMade> => {
  const made = await handMade();
  closing.push(() => made.close());
  return made;
};
/** A unary call by its bytes: for services that have no stubs here. */
const send = (address: string, path: string, metadata = new Metadata()): Promise<Buffer> => {
  const client = new Client(address, credentials.createInsecure());
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.alloc(0),
      metadata,
      (error: ServiceError | null, answer) =>
        error === null ? resolve(answer ?? Buffer.alloc(0)) : reject(error),
    );
  }).finally(() => client.close());
};
const healthCheck = '/grpc.health.v1.Health/Check';
const serving = Buffer.of(0x08, 1);
const notServing = Buffer.of(0x08, 2);

test.each([
  ['no token', {}],
  ['another token', { authorization: 'Bearer guess' }],
  ['the token without its scheme', { authorization: 'open sesame' }],
])('with a token set, a call with %s is turned away before it is looked at', async (_, metadata) => {
  const api = await withToken('open sesame');
  const error = await failureOf(call(api.boxes, api.boxes.get, { box: 'web' }, { metadata }));
  expect(error.code).toBe(status.UNAUTHENTICATED);
  expect(richDetails(error).info?.reason).toBe('Unauthenticated');
  const stream = api.boxes.watch({ box: '', types: [], cursor: '', fromNow: false });
  await expect(stream.toArray()).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
});

test('the right token is let in', async () => {
  const api = await withToken('open sesame');
  const metadata = { authorization: 'Bearer open sesame' };
  const error = await failureOf(call(api.boxes, api.boxes.get, { box: '' }, { metadata }));
  expect(error.code).toBe(status.INVALID_ARGUMENT);
});

test('health is told without a token, and reflection is not', async () => {
  const api = await withToken('open sesame');
  expect(await send(api.address, healthCheck)).toEqual(serving);
  const reflection = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  expect((await failureOf(send(api.address, reflection))).code).toBe(status.UNAUTHENTICATED);
});

test('reflection names the services and gives their descriptors', async () => {
  const api = await startApi(unreachableDeps());
  closing.push(() => api.close());
  const client = new Client(api.address, credentials.createInsecure());
  closing.push(async () => client.close());
  const ask = async (request: Buffer): Promise<string> => {
    const stream = client.makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    stream.end(request);
    return Buffer.concat(await stream.toArray()).toString('latin1');
  };
  const field = (number: number, text: string) =>
    Buffer.concat([Buffer.of((number << 3) | 2, text.length), Buffer.from(text)]);
  const services = await ask(field(7, ''));
  expect(services).toContain('boxledger.v1.BoxService');
  expect(services).toContain('boxledger.v1.EventService');
  expect(await ask(field(4, 'boxledger.v1.BoxOptions'))).toContain('memory_mib');
});

test('a closing server says so to health checks, ends watches, and is done', async () => {
  const { api } = await plane();
  const watch = api.boxes.watch({ box: '', types: [], cursor: '', fromNow: false });
  const messages = (watch as AsyncIterable<WatchResponse>)[Symbol.asyncIterator]();
  expect((await messages.next()).value.message.$case).toBe('caughtUp');
  const health = new Client(api.address, credentials.createInsecure());
  closing.push(async () => health.close());
  const states = health.makeServerStreamRequest(
    '/grpc.health.v1.Health/Watch',
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    Buffer.alloc(0),
  );
  const seen: Buffer[] = [];
  const first = new Promise<void>((resolve) => {
    states.on('data', (state: Buffer) => {
      seen.push(state);
      resolve();
    });
  });
  states.on('error', () => undefined); // broken off when the server goes
  await first;
  const ended = messages.next().then(
    () => undefined,
    (error: ServiceError) => error,
  );
  await api.close(2_000);
  const error = await ended;
  expect(error?.code).toBe(status.UNAVAILABLE);
  expect(seen).toEqual([serving, notServing]);
});

test('an address that is taken is said to be', async () => {
  const { api } = await plane();
  const { createApiServer } = await import('../../src/api/server.ts');
  const second = createApiServer(unreachableDeps());
  closing.push(() => second.close(1_000));
  await expect(second.listen(api.address)).rejects.toMatchObject({
    code: 'Unavailable',
    details: { address: api.address },
  });
});

test('a start that finds no host is Unavailable, to be tried again', async () => {
  const made = await handMade(undefined, {
    placement: () => Promise.reject(new BoxledgerError('Unavailable', 'no host')),
  });
  closing.push(() => made.close());
  const { api } = made;
  await call(api.boxes, api.boxes.create, { ...CreateRequest.decode(new Uint8Array()), name: 'homeless' });
  const error = await failureOf(
    call(api.boxes, api.boxes.start, { mutation: undefined, box: 'homeless', wait: false }),
  );
  expect(error.code).toBe(status.UNAVAILABLE);
  expect(richDetails(error).retry?.retryDelay?.seconds).toBe(1);
});
