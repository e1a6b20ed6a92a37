import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  StatusObject,
} from '@grpc/grpc-js';
import type { z } from 'zod';
import { unlessAborted } from '../kernel/unless-aborted.ts';
import type { ApiDeps } from './api-deps.ts';
import { type BoundedCall, type CallScope, openScope } from './call-scope.ts';
import { callerOf } from './caller.ts';
import { parse, type Received } from './received.ts';
import { toStatus } from './status.ts';

/**
 * The four shapes of a call. Each parses what comes in, does the work within the call's scope, and turns whatever is
 * thrown into a status. Work knows nothing of gRPC: it takes what was parsed and gives back messages.
 */

/** What calls share while the server is up. */
export interface Service {
  readonly deps: ApiDeps;
  /** Fires when the service ends; its reason is what calls that are still going on end with. */
  readonly ends: AbortSignal;
  /** Calls being answered. Some go on when their caller has gone: what they began has to be recorded. */
  readonly underWay: Set<Promise<void>>;
}

/** Keeps an answer among those under way until it is given. It never rejects. */
const track = (service: Service, answering: Promise<void>): void => {
  service.underWay.add(answering);
  void answering.then(() => service.underWay.delete(answering));
};

export const unary =
  <Parsed, Response>(
    service: Service,
    schema: z.ZodType<Parsed>,
    work: (request: Parsed, scope: CallScope) => Promise<Response>,
  ): handleUnaryCall<Received<unknown>, Response> =>
  (call, respond) =>
    answer(service, call, respond, async (scope) =>
      respond(null, await work(parse(schema, call.request), scope)),
    );

export const serverStream =
  <Parsed, Response>(
    service: Service,
    schema: z.ZodType<Parsed>,
    work: (request: Parsed, scope: CallScope) => AsyncIterable<Response>,
  ): handleServerStreamingCall<Received<unknown>, Response> =>
  (call) =>
    answer(
      service,
      call,
      (error) => call.emit('error', error),
      async (scope) => {
        await sendAll(work(parse(schema, call.request), scope), call, scope.signal);
        call.end();
      },
    );

export const clientStream =
  <Parsed, Response>(
    service: Service,
    schema: z.ZodType<Parsed>,
    work: (requests: AsyncGenerator<Parsed, void>, scope: CallScope) => Promise<Response>,
  ): handleClientStreamingCall<Received<unknown>, Response> =>
  (call, respond) =>
    answer(service, call, respond, async (scope) =>
      respond(null, await work(requestsOf(call, schema, scope.signal), scope)),
    );

export const bidiStream =
  <Parsed, Response>(
    service: Service,
    schema: z.ZodType<Parsed>,
    work: (requests: AsyncGenerator<Parsed, void>, scope: CallScope) => AsyncIterable<Response>,
  ): handleBidiStreamingCall<Received<unknown>, Response> =>
  (call) =>
    answer(
      service,
      call,
      (error) => call.emit('error', error),
      async (scope) => {
        await sendAll(work(requestsOf(call, schema, scope.signal), scope), call, scope.signal);
        call.end();
      },
    );

const answer = (
  service: Service,
  call: BoundedCall & { readonly metadata: Metadata },
  fail: (status: StatusObject) => void,
  work: (scope: CallScope) => Promise<void>,
): void => {
  const answering = async () => {
    try {
      using scope = openScope(call, callerOf(call.metadata, service.deps), service.ends);
      await work(scope);
    } catch (error) {
      fail(toStatus(error, service.deps.logger));
    }
  };
  track(service, answering());
};

/** A reader that does not keep up holds back the reading of `messages`. */
const sendAll = async <Message>(
  messages: AsyncIterable<Message>,
  call: Writable,
  signal: AbortSignal,
): Promise<void> => {
  for await (const message of messages) {
    signal.throwIfAborted();
    if (!call.write(message)) await unlessAborted(once(call, 'drain'), signal);
  }
};

/** What is not taken from here is not read from the caller. */
async function* requestsOf<Parsed>(
  call: Readable,
  schema: z.ZodType<Parsed>,
  signal: AbortSignal,
): AsyncGenerator<Parsed, void> {
  const received: AsyncIterator<Received<unknown>> = call.iterator({ destroyOnReturn: false });
  while (true) {
    const next = await unlessAborted(received.next(), signal);
    if (next.done === true) return;
    yield parse(schema, next.value);
  }
}
