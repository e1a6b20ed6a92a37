import { setTimeout as delay } from 'node:timers/promises';
import { BoxledgerError } from '../kernel/errors.ts';

const firstDelayMs = 50;
const maxDelayMs = 1_000;

/**
 * What the world has done cannot be refused a place in the log because the database is away: the log is insisted on for as
 * long as the process lives. The report has a command id of its own, so that it enters once.
 */
export const insisted = async <Result>(report: () => Promise<Result>): Promise<Result> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await report();
    } catch (error) {
      if (!isPassing(error)) throw error;
      const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempt - 1, 10));
      await delay(delayMs, undefined, { ref: false });
    }
  }
};

export const isPassing = (error: unknown): error is BoxledgerError =>
  error instanceof BoxledgerError && error.retry;
