import type { Deadline } from '@grpc/grpc-js';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { timeoutMaxMs } from '../kernel/time.ts';
import type { Caller } from './caller.ts';

/** What of a gRPC call decides how long it may go on. */
export interface BoundedCall {
  readonly cancelled: boolean;
  getDeadline(): Deadline;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** A call while it is being answered. */
export interface CallScope extends Disposable {
  readonly caller: Caller;
  /**
   * Fires when the caller has gone, its deadline is all but there, or the service ends. The reason is the
   * `BoxledgerError` to end the call with.
   */
  readonly signal: AbortSignal;
  /** As `signal`, and besides when `limits.callWaitMs` are over: for waiting that a caller set no end to. */
  readonly waitSignal: AbortSignal;
}

/** What is kept of the time to a deadline for saying that it has passed, and what the box's state then is. */
const answerShare = 0.1;
const answerMaxMs = 500;

export const openScope = (call: BoundedCall, caller: Caller, serviceEnds: AbortSignal): CallScope => {
  const own = new AbortController();
  const leftMs = Number(call.getDeadline()) - Date.now();
  const deadline = abortAfter(own, leftMs - Math.min(leftMs * answerShare, answerMaxMs));
  const waiting = new AbortController();
  const limit = abortAfter(waiting, limits.callWaitMs);

  const gone = () => own.abort(new BoxledgerError('Unavailable', 'The caller went away.'));
  call.on('cancelled', gone);
  if (call.cancelled) gone();
  const end = () => own.abort(serviceEnds.reason);
  serviceEnds.addEventListener('abort', end);
  if (serviceEnds.aborted) end();

  return {
    caller,
    signal: own.signal,
    waitSignal: AbortSignal.any([own.signal, waiting.signal]),
    [Symbol.dispose]: () => {
      clearTimeout(deadline);
      clearTimeout(limit);
      serviceEnds.removeEventListener('abort', end);
    },
  };
};

const abortAfter = (controller: AbortController, ms: number): NodeJS.Timeout | undefined =>
  ms > timeoutMaxMs
    ? undefined
    : setTimeout(
        () => controller.abort(new BoxledgerError('DeadlineExceeded', 'The time for the call is over.')),
        Math.max(0, ms),
      );
