import type { BoxEvent } from '../../events/box-events.ts';
import type { EffectOutcome } from '../../events/effects.ts';
import type { BoxContext } from './box-context.ts';
import { diskRemoveTimeoutMs, retryDelayMs, stopTimeoutMs } from './box-timeouts.ts';
import { operationOf } from './disk-intents.ts';

/** What an outcome says of the box that waited for it. A stop or a removal that failed is asked for again. */
export const outcomeEvent = ({ kind, outcome }: EffectOutcome, box: BoxContext): BoxEvent => {
  const retry = box.retries + 1;
  switch (kind) {
    case 'vm.boot':
      return outcome.status === 'succeeded'
        ? { type: 'box.started', data: outcome.result }
        : { type: 'box.startFailed', data: { failure: outcome.failure } };
    case 'vm.shutdown':
      return outcome.status === 'succeeded'
        ? { type: 'box.stopped', data: outcome.result }
        : {
            type: 'box.stopFailed',
            data: { failure: outcome.failure, timeoutMs: retryDelayMs(retry) + stopTimeoutMs() },
          };
    case 'vm.pause':
      return outcome.status === 'succeeded'
        ? { type: 'box.paused', data: outcome.result }
        : { type: 'box.pauseFailed', data: { failure: outcome.failure } };
    case 'vm.resume':
      return outcome.status === 'succeeded'
        ? { type: 'box.resumed', data: outcome.result }
        : { type: 'box.resumeFailed', data: { failure: outcome.failure } };
    case 'disk.remove':
      return outcome.status === 'succeeded'
        ? { type: 'box.removed', data: { diskAbandoned: false } }
        : {
            type: 'box.removeFailed',
            data: { failure: outcome.failure, timeoutMs: retryDelayMs(retry) + diskRemoveTimeoutMs },
          };
    case 'disk.snapshot': {
      const { snapshotId, name } = operationOf(box, 'snapshot');
      return outcome.status === 'succeeded'
        ? { type: 'box.snapshotCreated', data: { snapshotId, name, ...outcome.result } }
        : { type: 'box.snapshotFailed', data: { snapshotId, failure: outcome.failure } };
    }
    case 'snapshot.remove': {
      const { snapshotId } = operationOf(box, 'snapshotRemoval');
      return outcome.status === 'succeeded'
        ? { type: 'box.snapshotRemoved', data: { snapshotId } }
        : { type: 'box.snapshotRemovalFailed', data: { snapshotId, failure: outcome.failure } };
    }
    case 'disk.restore': {
      const { snapshotId } = operationOf(box, 'restore');
      return outcome.status === 'succeeded'
        ? { type: 'box.restored', data: { snapshotId, ...outcome.result } }
        : { type: 'box.restoreFailed', data: { snapshotId, failure: outcome.failure } };
    }
    case 'disk.clone': {
      const { clones } = operationOf(box, 'clone');
      return outcome.status === 'succeeded'
        ? { type: 'box.cloned', data: { clones, ...outcome.result } }
        : { type: 'box.cloneFailed', data: { clones, failure: outcome.failure } };
    }
    case 'disk.export': {
      const { exportId } = operationOf(box, 'export');
      return outcome.status === 'succeeded'
        ? { type: 'box.exported', data: { exportId, ...outcome.result } }
        : { type: 'box.exportFailed', data: { exportId, failure: outcome.failure } };
    }
    default:
      return kind satisfies never;
  }
};
