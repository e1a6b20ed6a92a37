import type { BoxView } from '../events/box-view.ts';
import type { DiskOperation, Origin, Snapshot } from '../events/disk-operations.ts';
import type * as wire from '../gen/boxledger/v1/box.ts';
import { msOf } from '../kernel/time.ts';

/** What is known of a box's disk, in the wire's shape. */

export const encodeSnapshot = ({ parent, sizeBytes, createdAt, ...same }: Snapshot): wire.Snapshot => ({
  ...same,
  parent: parent ?? '',
  sizeBytes: BigInt(sizeBytes),
  createdAt: new Date(msOf(createdAt)),
});

export const encodeOperation = (operation: DiskOperation): wire.DiskOperation => ({
  kind: operation.kind,
  snapshotId: 'snapshotId' in operation ? operation.snapshotId : '',
  clones: operation.kind === 'clone' ? operation.clones.map(({ name }) => name) : [],
  exportId: operation.kind === 'export' ? operation.exportId : '',
});

export const encodeOrigin = (origin: Origin): wire.Origin => {
  switch (origin.kind) {
    case 'clone':
      return {
        from: { $case: 'clone', value: { boxId: origin.boxId, version: BigInt(origin.version) } },
      };
    case 'import':
      return {
        from: { $case: 'import', value: { sha256: origin.sha256, sizeBytes: BigInt(origin.sizeBytes) } },
      };
    default:
      return origin satisfies never;
  }
};

export const encodePause = ({
  since,
  until,
  consistency,
  toDisk,
}: NonNullable<BoxView['pause']>): wire.Pause => ({
  since: new Date(msOf(since)),
  until: until === null ? undefined : new Date(msOf(until)),
  consistency,
  toDisk,
});
