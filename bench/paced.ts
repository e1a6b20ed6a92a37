import { setTimeout as sleep } from 'node:timers/promises';
import { type Load, type Measurement, summary, warmUpShare } from './callers.ts';

interface PacedLoad extends Load {
  /** Of all callers together. */
  readonly perSecond: number;
}

/**
 * Each caller asks at its own regular times, the callers one after the other, and a late answer puts off nothing: what was
 * due meanwhile is asked for at once. Latency counts from when an operation was due, so waiting for one's turn is in it,
 * and a late timer too: up to a millisecond that no program would see.
 */
export const pace = async ({
  callers,
  perSecond,
  seconds,
  operation,
  signal,
}: PacedLoad): Promise<Measurement> => {
  const began = performance.now();
  const from = began + seconds * 1000 * warmUpShare;
  const end = from + seconds * 1000;
  const intervalMs = (callers / perSecond) * 1000;
  const latenciesMs: number[] = [];
  const call = async (caller: number) => {
    for (let due = began + (caller / callers) * intervalMs; due < end && !signal.aborted; due += intervalMs) {
      const waitMs = due - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      const asked = Math.min(due, performance.now()); // a timer may be early, too
      await operation(caller);
      if (due >= from) latenciesMs.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return summary(latenciesMs, seconds);
};
