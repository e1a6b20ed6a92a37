import type { BoxId } from '../../kernel/ids.ts';
import type { Owner } from './disk.ts';
import type { DiskFormat } from './disk-format.ts';
import type { Layout } from './layout.ts';

/** Steps of work on disks after which the service may die; what it leaves then has to be found again. */
export const diskSteps = [
  'snapshot.begun',
  'snapshot.staged',
  'snapshot.kept',
  'snapshotRemoval.begun',
  'restore.begun',
  'restore.staged',
  'restore.parted',
  'restore.replaced',
  'clone.begun',
  'clone.staged',
  'clone.recorded',
  'clone.kept',
  'export.begun',
  'export.staged',
  'export.kept',
  'import.begun',
  'import.staged',
  'import.recorded',
  'import.kept',
] as const;
export type DiskStep = (typeof diskSteps)[number];

export interface DiskContext {
  readonly layout: Layout;
  readonly owner: Owner;
  readonly format: DiskFormat;
  /** Mode of a box's own directory. */
  readonly directoryMode: number;
  /** Called after each step; does nothing but in the fault tests. */
  readonly passed: (step: DiskStep) => void;
  /** Told of a box whose leavings could not be cleared away; it is tried again before the next work on its disk. */
  readonly notCleared: (boxId: BoxId, error: unknown) => void;
  /** Lets work be done on a box while nothing of it runs, and nothing can be started. `InvalidState` if it runs. */
  readonly atRest: <Result>(boxId: BoxId, work: () => Promise<Result>) => Promise<Result>;
}
