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

/** Looks again and again until `condition` holds. Fails with the last value seen. */
export const untilValue = async <Value>(
  look: () => Value | Promise<Value>,
  condition: (value: Value) => boolean,
  timeoutMs = 30_000,
): Promise<Value> => {
  let last: Value | undefined;
  try {
    return await eventually(
      'the value that was waited for',
      async () => {
        last = await look();
        return condition(last) ? { last } : undefined;
      },
      timeoutMs,
    ).then(({ last: value }) => value);
  } catch (error) {
    throw new Error(`last seen: ${JSON.stringify(last) ?? String(last)}`, { cause: error });
  }
};
