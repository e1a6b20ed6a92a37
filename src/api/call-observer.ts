import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

export interface CallOfMethod {
  readonly type: 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';
  /** `boxledger.v1.BoxService`. */
  readonly service: string;
  readonly method: string;
}

/** Hears of calls as they begin and end. Must neither throw nor wait. */
export interface CallObserver {
  began(call: CallOfMethod): void;
  /** `code`: the status by name, `OK` or `NOT_FOUND`. */
  ended(call: CallOfMethod, code: string, durationMs: number): void;
}

/** Tells of every call of a method that there is: of others the server's interceptors do not hear. */
export const observed =
  (observer: CallObserver): ServerInterceptor =>
  ({ path, requestStream, responseStream }, call) => {
    const [, service = '', method = ''] = path.split('/');
    const of = { type: typeOf(requestStream, responseStream), service, method };
    const beganAtMs = performance.now();
    let isOver = false;
    const end = (code: status) => {
      if (isOver) return;
      isOver = true;
      observer.ended(of, status[code] ?? 'UNKNOWN', performance.now() - beganAtMs);
    };
    observer.began(of);
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onCancel: () => end(status.CANCELLED) }),
      sendStatus: (sent, next) => {
        end(sent.code ?? status.OK);
        next(sent);
      },
    });
  };

const typeOf = (requestStream: boolean, responseStream: boolean): CallOfMethod['type'] => {
  if (requestStream) return responseStream ? 'bidi_stream' : 'client_stream';
  return responseStream ? 'server_stream' : 'unary';
};
