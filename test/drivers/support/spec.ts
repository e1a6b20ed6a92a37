import { randomBytes } from 'node:crypto';
import type { DiskWork } from '../../../src/drivers/disks.ts';
import type { BootSpec } from '../../../src/drivers/driver.ts';
import { boxOptionsSchema } from '../../../src/events/box-options.ts';
import {
  type BoxId,
  boxId,
  type ExportId,
  exportId,
  type SnapshotId,
  snapshotId,
} from '../../../src/kernel/ids.ts';

/** Test files run side by side on one machine: each box has an id of its own. */
export const newBoxId = (): BoxId => boxId(`bx_${randomBytes(8).toString('hex')}`);

export const newSnapshotId = (): SnapshotId => snapshotId(`sn_${randomBytes(8).toString('hex')}`);
export const newExportId = (): ExportId => exportId(`xp_${randomBytes(8).toString('hex')}`);

/** Enough for a machine, and few: there may be many at a time. */
export const memoryMib = 160;

export const specOf = (
  id: BoxId,
  generation = 1,
  options: Readonly<Record<string, unknown>> = {},
): BootSpec => ({
  boxId: id,
  name: 'a-box',
  generation,
  options: boxOptionsSchema.parse({ memoryMib, ...options }),
});

export const never = new AbortController().signal;

/** Work on a disk that nobody stops and nobody watches. */
export const unhurried: DiskWork = { signal: never };
