import type { Logger } from 'pino';
import { collectDefaultMetrics } from 'prom-client';
import { packageVersion } from '../cli/commands/version.ts';
import type { ServeOptions } from '../cli/serve-options.ts';
import { assert } from '../kernel/assert.ts';
import type { Store } from '../store/store.ts';
import { checkpointSinks } from './checkpoints.ts';
import { listenForScrapes, type MetricsListener } from './metrics-listener.ts';
import { copyTally } from './metrics-observers.ts';
import type { Metrics } from './metrics-registry.ts';
import { lookUp } from './metrics-scrape.ts';
import type { ServiceTally } from './metrics-tally.ts';
import { systemClock } from './system-clock.ts';

interface MetricsService {
  readonly metrics: Metrics;
  readonly options: ServeOptions;
  readonly token: string | undefined;
  readonly store: Store;
  readonly tally: ServiceTally;
  readonly log: Logger;
}

/** Less than Prometheus waits for by default. */
const lookUpMaxMs = 5_000;

/** Serves what is measured, with what Node.js says of this process. */
export const serveMetrics = async (service: MetricsService): Promise<MetricsListener> => {
  const { metrics, options, token, store, tally, log } = service;
  const { metricsAddress: address } = options;
  assert(address !== undefined, 'metrics are served where an address is set');
  collectDefaultMetrics({ register: metrics.registry });
  metrics.info.set({ version: packageVersion() }, 1);
  const sources = {
    store,
    sinks: checkpointSinks(options).map(({ name }) => name),
    clock: systemClock,
    since: tally.since,
    limitMs: lookUpMaxMs,
    onError: (err: unknown, source: string) =>
      log.debug({ err, source }, 'a scrape lacks what was not there'),
  };
  return listenForScrapes({
    address,
    token,
    contentType: metrics.registry.contentType,
    onError: (err) => log.warn({ err }, 'a scrape could not be answered'),
    scrape: async () => {
      copyTally(metrics, tally);
      await lookUp(metrics, sources);
      return metrics.registry.metrics();
    },
  });
};
