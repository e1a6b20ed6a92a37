import { performance } from 'node:perf_hooks';
import type { Clock } from '../kernel/ports.ts';
import { timestampFromMs } from '../kernel/time.ts';

export const systemClock: Clock = {
  now: () => timestampFromMs(Date.now()),
  monotonicMs: () => performance.now(),
};
