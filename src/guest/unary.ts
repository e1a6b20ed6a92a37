import type { ServiceError } from '@grpc/grpc-js';
import type { z } from 'zod';
import { parseGuest } from './messages.ts';
import { endedBy, fromStatus } from './status.ts';

export type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** One answer to a call that `invoke` begins, checked. Aborting the signal cancels the call; `what` names it. */
export const answerOf = <Response, Out>(
  invoke: (callback: Callback<Response>) => { cancel(): void },
  schema: z.ZodType<Out>,
  signal: AbortSignal,
  what: string,
): Promise<Out> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) throw endedBy(signal, what);
    const call = invoke((error, response) => {
      signal.removeEventListener('abort', cancel);
      try {
        if (error !== null) throw signal.aborted ? endedBy(signal, what) : fromStatus(error);
        resolve(parseGuest(schema, response));
      } catch (failure) {
        reject(failure);
      }
    });
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
