import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BoxledgerError } from '../kernel/errors.ts';
import { type Backoff, backoffMs } from './backoff.ts';

/**
 * Does it again, with back-off, for as long as what it needs is not there (`retry` of the error) and the signal has not
 * fired. For what must not be given up: the caller has nobody to report the failure to.
 */
export const persist = async <T>(
  what: string,
  { backoff, log, signal }: { readonly backoff: Backoff; readonly log: Logger; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (err) {
      if (!(err instanceof BoxledgerError && err.retry) || signal.aborted) throw err;
      log.warn({ err, attempt }, `${what}: tried again`);
    }
    await sleep(backoffMs(backoff, attempt), undefined, { signal });
  }
};
