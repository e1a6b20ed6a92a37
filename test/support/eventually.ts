<<<<<<< HEAD

import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `probe` returns something but undefined or false: for conditions that no event tells of. */
export const eventually = async <Result>(
  what: string,
  probe: () => Promise<Result | undefined | false> | Result | undefined | false,
  timeoutMs = 30_000,
): Promise<Result> => {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const result = await probe();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > until) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(25);
=======
/**
 * Looks again and again until `condition` holds, for what has no event to wait for. Fails with the last value seen, so
 * the message says what was there instead.
 */
export const eventually = async <T>(
  look: () => T | Promise<T>,
  condition: (value: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> => {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (condition(value)) return value;
    if (performance.now() > until)
      throw new Error(`not so within ${timeoutMs} ms; last seen: ${JSON.stringify(value) ?? String(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
>>>>>>> effects
  }
};
