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
  }
};
