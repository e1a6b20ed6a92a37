import type { BoxEvent } from '../../events/box-events.ts';
import type { Snapshot } from '../../events/disk-operations.ts';
import type { SnapshotId } from '../../kernel/ids.ts';
import type { Timestamp } from '../../kernel/time.ts';
import type { ChartEvent } from '../chart.ts';
import type { BoxContext } from './box-context.ts';

type DiskEventType = Extract<BoxEvent['type'], `box.${'snapshot' | 'restore' | 'clone' | 'export'}${string}`>;
type DiskEvent = ChartEvent<Extract<BoxEvent, { type: DiskEventType }>>;

/** What is remembered of what was done to the disk. The end of an operation is forgotten as the statechart leaves it. */
export const rememberOperation = (box: BoxContext, event: DiskEvent): Partial<BoxContext> => {
  switch (event.type) {
    case 'box.snapshotRequested': {
      const { snapshotId, name } = event.data;
      return { operation: { kind: 'snapshot', snapshotId, name } };
    }
    case 'box.snapshotRemovalRequested':
      return { operation: { kind: 'snapshotRemoval', snapshotId: event.data.snapshotId } };
    case 'box.restoreRequested':
      return { operation: { kind: 'restore', snapshotId: event.data.snapshotId } };
    case 'box.cloneRequested':
      return { operation: { kind: 'clone', clones: event.data.clones } };
    case 'box.exportRequested':
      return {
        operation: { kind: 'export', exportId: event.data.exportId, includeEnv: event.data.includeEnv },
      };
    case 'box.snapshotCreated':
      return {
        snapshots: [...box.snapshots, snapshotOf(box, event.data, event.occurredAt)],
        standsOn: event.data.snapshotId,
      };
    case 'box.snapshotRemoved':
      return without(box, event.data.snapshotId);
    case 'box.restored':
      return { standsOn: event.data.snapshotId };
    case 'box.snapshotFailed':
    case 'box.snapshotRemovalFailed':
    case 'box.restoreFailed':
    case 'box.cloneFailed':
    case 'box.exportFailed':
      return { failure: event.data.failure };
    case 'box.cloned':
    case 'box.exported':
      return {};
    default:
      return event satisfies never;
  }
};

const snapshotOf = (
  { standsOn }: BoxContext,
  { bracket, ...made }: Extract<DiskEvent, { type: 'box.snapshotCreated' }>['data'],
  createdAt: Timestamp,
): Snapshot => ({ ...made, parent: standsOn, consistency: bracket.consistency, createdAt });

/** What came from the removed snapshot comes from its parent now. */
const without = ({ snapshots, standsOn }: BoxContext, gone: SnapshotId): Partial<BoxContext> => {
  const parent = snapshots.find(({ snapshotId }) => snapshotId === gone)?.parent ?? null;
  const lift = (id: SnapshotId | null) => (id === gone ? parent : id);
  return {
    snapshots: snapshots
      .filter(({ snapshotId }) => snapshotId !== gone)
      .map((snapshot) => ({ ...snapshot, parent: lift(snapshot.parent) })),
    standsOn: lift(standsOn),
  };
};
