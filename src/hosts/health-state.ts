import type { Health } from '../events/box-events.ts';
import type { BoxOptions } from '../events/box-options.ts';
import type { Finding } from './probe.ts';

export interface HealthState {
  readonly health: Health;
  /** Failures in a row that count. */
  readonly failures: number;
}

type HealthCheck = NonNullable<BoxOptions['healthCheck']>;

/**
 * How a box is after one more probe. `upMs`: since its start. In the start period failures do not count, and a success ends it.
 * Probing goes on from an unhealthy box, so one success makes it healthy again.
 */
export const healthAfter = (
  { health, failures }: HealthState,
  finding: Finding,
  { retries, startPeriodMs }: HealthCheck,
  upMs: number,
): HealthState => {
  switch (finding.kind) {
    case 'held':
      return { health, failures };
    case 'well':
      return { health: 'healthy', failures: 0 };
    case 'ill': {
      if (health === 'starting' && upMs < startPeriodMs) return { health, failures: 0 };
      const inRow = failures + 1;
      return { health: inRow >= retries ? 'unhealthy' : health, failures: inRow };
    }
    default:
      return finding satisfies never;
  }
};
