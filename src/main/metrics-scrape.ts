import { readCheckpoint } from '../audit/checkpoint.ts';
import { defaultTenant } from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';
import { msOf, type Timestamp } from '../kernel/time.ts';
import type { Store } from '../store/store.ts';
import type { Metrics } from './metrics-registry.ts';

export interface ScrapeSources {
  readonly store: Store;
  /** Names of the sinks that are configured; what the database still knows of others is past. */
  readonly sinks: readonly string[];
  readonly clock: Clock;
  /** The start of the server, from which a first checkpoint is awaited. */
  readonly since: Timestamp;
  /** A scrape that takes longer lacks what was not there by then. */
  readonly limitMs: number;
  readonly onError: (error: unknown, source: string) => void;
}

/** What has to be looked up for a scrape. One that fails leaves its metrics out: no number is better than an old one. */
export const lookUp = async (metrics: Metrics, sources: ScrapeSources): Promise<void> => {
  // The connections first, before the others here want some.
  const lookups = { connections, boxes, effects, log, checkpoints };
  await Promise.all(
    Object.entries(lookups).map(async ([source, look]) => {
      try {
        await within(sources.limitMs, look(metrics, sources));
      } catch (error) {
        metrics.scrapeFailures.inc({ source });
        sources.onError(error, source);
      }
    }),
  );
};

const boxes = async (metrics: Metrics, { store }: ScrapeSources) => {
  metrics.boxes.reset();
  const counts = await store.boxes.count(defaultTenant);
  for (const [state, count] of Object.entries(counts)) metrics.boxes.set({ state }, count);
};

const effects = async (metrics: Metrics, { store }: ScrapeSources) => {
  metrics.openEffects.reset();
  metrics.effectWaitSeconds.reset();
  for (const { kind, state, effects: count, waitingMs } of await store.outbox.backlog()) {
    metrics.openEffects.set({ kind, state }, count);
    if (state === 'pending') metrics.effectWaitSeconds.set({ kind }, waitingMs / 1000);
  }
};

const log = async (metrics: Metrics, { store }: ScrapeSources) => {
  metrics.logLagSeconds.remove();
  metrics.logBlockerSeconds.remove();
  const { lagMs, blocker } = await store.log.lag();
  metrics.logLagSeconds.set(lagMs / 1000);
  metrics.logBlockerSeconds.set((blocker?.transactionAgeMs ?? 0) / 1000);
};

const checkpoints = async (metrics: Metrics, { store, sinks, clock, since }: ScrapeSources) => {
  for (const gauge of [metrics.checkpointNumber, metrics.unsignedEvents, metrics.checkpointLagSeconds])
    gauge.remove();
  metrics.sinkBehind.reset();
  metrics.sinkFailingSeconds.reset();
  const [end, signed, states] = await Promise.all([
    store.checkpoints.end(),
    store.checkpoints.last(),
    store.checkpoints.sinks(),
  ]);
  const read = signed && readCheckpoint(signed.body);
  const last = typeof read === 'object' ? read : undefined;
  const nowMs = msOf(clock.now());
  // Positions have gaps where an append was undone.
  const unsigned = Math.max(0, Number(end?.position ?? 0) - Number(last?.to.position ?? 0));
  metrics.checkpointNumber.set(last?.sequence ?? 0);
  metrics.unsignedEvents.set(unsigned);
  const signedAtMs = last === undefined ? msOf(since) : Date.parse(last.time);
  metrics.checkpointLagSeconds.set(unsigned === 0 ? 0 : Math.max(0, nowMs - signedAtMs) / 1000);
  for (const sink of sinks) {
    const state = states.find((known) => known.sink === sink);
    metrics.sinkBehind.set({ sink }, Math.max(0, (last?.sequence ?? 0) - (state?.sentSequence ?? 0)));
    const sinceMs = state?.failingSince?.getTime() ?? nowMs;
    metrics.sinkFailingSeconds.set({ sink }, Math.max(0, nowMs - sinceMs) / 1000);
  }
};

const connections = async (metrics: Metrics, { store: { pool } }: ScrapeSources) => {
  metrics.connections.set({ state: 'idle' }, pool.idleCount);
  metrics.connections.set({ state: 'busy' }, pool.totalCount - pool.idleCount);
  metrics.connectionWaits.set(pool.waitingCount);
};

const within = async (limitMs: number, work: Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not there within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([late, work]);
  } finally {
    clearTimeout(timer);
  }
};
