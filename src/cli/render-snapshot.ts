import type { Snapshot } from '../sdk/disks.ts';
import { byteText } from './byte-text.ts';
import { snapshotJson } from './disk-json.ts';
import { fieldLines } from './render-box.ts';
import { table } from './table.ts';
import { visible } from './visible.ts';

/** `standsOn`: the one that the disk was last the same as, which is marked. */
export const snapshotTable = (snapshots: readonly Snapshot[], standsOn: string): string => {
  const nameOf = (id: string) => snapshots.find(({ snapshotId }) => snapshotId === id)?.name ?? '';
  return table(
    ['', 'NAME', 'SNAPSHOT ID', 'PARENT', 'SIZE', 'CONSISTENCY', 'CREATED'],
    snapshots.map((one) => [
      one.snapshotId === standsOn ? '*' : '',
      visible(one.name),
      visible(one.snapshotId),
      visible(nameOf(one.parent)),
      byteText(Number(one.sizeBytes)),
      visible(one.consistency),
      one.createdAt?.toISOString() ?? '',
    ]),
  );
};

export const snapshotDetails = (snapshot: Snapshot): string => fieldLines(snapshotJson(snapshot));
