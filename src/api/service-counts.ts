import type { EffectKind } from '../events/effects.ts';
import type { Timestamp } from '../kernel/time.ts';

/** What became of an outcome: it was heard, as a success or a failure, or came when nobody waited for it any more. */
export type EffectEnd = 'succeeded' | 'failed' | 'unheard';

export interface ExecCounts {
  readonly execs: number;
  /** Execs that could not be started, or whose end nobody saw. */
  readonly errors: number;
}

/** What this server has counted since its start, of what went through its own door. */
export interface ServiceCounts {
  readonly since: Timestamp;
  readonly boxesCreated: number;
  readonly startsFailed: number;
  readonly boxesStopped: number;
  readonly execs: ExecCounts;
  readonly effects: readonly { readonly kind: EffectKind; readonly end: EffectEnd; readonly count: number }[];
}
