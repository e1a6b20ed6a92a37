import type { Observation } from '../drivers/driver.ts';
import type { BoxView } from '../events/box-view.ts';
import type { Exit } from '../events/process.ts';
import type { HostId } from '../kernel/ids.ts';

/** What is to be done so that a host and the log agree about a box. */
export type Remedy =
  | { readonly kind: 'none' }
  /** It runs as it should: wait for its end. */
  | { readonly kind: 'watch' }
  /** It runs as it should but for this: do it, then wait for its end. */
  | { readonly kind: 'freeze' | 'unfreeze' }
  | { readonly kind: 'report-exit'; readonly exit: Exit }
  /** It should not run. `alsoDisk`: the log says that nothing of it is to be kept. */
  | { readonly kind: 'end'; readonly alsoDisk: boolean };

const none: Remedy = { kind: 'none' };

/**
 * Compares what the log says of a box with what its host finds. Where an effect is under way it is left to bring about
 * what the log waits for, since handlers take over whatever state an attempt before them left; only an end that no effect
 * is there to report is reported. The disk of a box that the log has never heard of stays: it belongs to another log.
 */
export const remedyFor = (view: BoxView | undefined, found: Observation, hostId: HostId): Remedy => {
  if (view === undefined || view.placement?.hostId !== hostId)
    return found.kind === 'running' ? { kind: 'end', alsoDisk: false } : none;
  switch (view.state) {
    case 'running':
      // While something is done to its disk the box may have to be frozen: that effect lets it go, on whichever attempt.
      return running(view, found, view.operation === null ? 'unfreeze' : undefined);
    case 'paused':
      return running(view, found, 'freeze');
    case 'pausing':
    case 'resuming':
      return running(view, found, undefined);
    case 'configured':
    case 'stopped':
    case 'failed':
      return found.kind === 'running' ? { kind: 'end', alsoDisk: false } : none;
    case 'removed':
      return { kind: 'end', alsoDisk: true };
    case 'starting':
    case 'stopping':
    case 'removing':
    case 'lost':
      return none;
    default:
      return view.state satisfies never;
  }
};

/** Of a box that the log says is up; `drift`: what is missing when it is frozen and should not be, or the reverse. */
const running = (view: BoxView, found: Observation, drift: 'freeze' | 'unfreeze' | undefined): Remedy => {
  if (found.kind === 'absent' || found.generation !== view.generation)
    return { kind: 'report-exit', exit: { kind: 'unknown' } };
  if (found.kind === 'ended') return { kind: 'report-exit', exit: found.exit };
  const isFrozen = found.frozen;
  return drift !== undefined && isFrozen === (drift === 'unfreeze') ? { kind: drift } : { kind: 'watch' };
};
