/** What a load came to. Latencies are those of single operations, in milliseconds. */
export interface Measurement {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * One operation of one caller, numbered from 0. Gives the durations of its parts in milliseconds, if it has any worth
 * naming. Its failure ends the benchmark.
 */
export type Operation = (caller: number) => Promise<Readonly<Record<string, number>>>;

export interface Load {
  /** Number of callers, each of which asks again as soon as it is answered. */
  readonly callers: number;
  readonly seconds: number;
  readonly operation: Operation;
  /** Aborting ends the load before its time. */
  readonly signal: AbortSignal;
}

/** The name under which the duration of the operation as a whole is given. */
export const whole = 'whole';

/** Part of the time that is run before measuring begins, so that pools are open and code is compiled. */
export const warmUpShare = 0.2;

/**
 * A closed loop: what is measured is what these callers get, not what an endless crowd would. One measurement for each
 * part of the operation, that of the whole first.
 */
export const measure = async ({
  callers,
  seconds,
  operation,
  signal,
}: Load): Promise<Map<string, Measurement>> => {
  const from = performance.now() + seconds * 1000 * warmUpShare;
  const end = from + seconds * 1000;
  const latenciesMs = new Map<string, number[]>([[whole, []]]);
  const note = (part: string, ms: number) => {
    const series = latenciesMs.get(part);
    if (series === undefined) latenciesMs.set(part, [ms]);
    else series.push(ms);
  };
  const call = async (caller: number) => {
    let started = performance.now();
    while (started < end && !signal.aborted) {
      const parts = await operation(caller);
      const finished = performance.now();
      if (started >= from && finished <= end) {
        note(whole, finished - started);
        for (const [part, ms] of Object.entries(parts)) note(part, ms);
      }
      started = finished;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return new Map([...latenciesMs].map(([part, series]) => [part, summary(series, seconds)]));
};

/** Of the operations that `seconds` had. */
export const summary = (latenciesMs: readonly number[], seconds: number): Measurement => {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return {
    operations: sorted.length,
    perSecond: sorted.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  };
};

/** Nearest rank of what is in order; NaN when nothing was measured. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
