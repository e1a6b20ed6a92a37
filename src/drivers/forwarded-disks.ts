import type { DiskKeeper } from './disks.ts';

/** A driver whose work on disks is done by a keeper of its own. */
export abstract class ForwardedDisks implements DiskKeeper {
  protected abstract readonly disks: DiskKeeper;

  readonly snapshotDisk: DiskKeeper['snapshotDisk'] = (...asked) => this.disks.snapshotDisk(...asked);
  readonly listSnapshots: DiskKeeper['listSnapshots'] = (...asked) => this.disks.listSnapshots(...asked);
  readonly removeSnapshot: DiskKeeper['removeSnapshot'] = (...asked) => this.disks.removeSnapshot(...asked);
  readonly restoreDisk: DiskKeeper['restoreDisk'] = (...asked) => this.disks.restoreDisk(...asked);
  readonly cloneDisk: DiskKeeper['cloneDisk'] = (...asked) => this.disks.cloneDisk(...asked);
  readonly diskOrigin: DiskKeeper['diskOrigin'] = (...asked) => this.disks.diskOrigin(...asked);
  readonly exportDisk: DiskKeeper['exportDisk'] = (...asked) => this.disks.exportDisk(...asked);
  readonly listExports: DiskKeeper['listExports'] = (...asked) => this.disks.listExports(...asked);
  readonly openExport: DiskKeeper['openExport'] = (...asked) => this.disks.openExport(...asked);
  readonly removeExport: DiskKeeper['removeExport'] = (...asked) => this.disks.removeExport(...asked);
  readonly importDisk: DiskKeeper['importDisk'] = (...asked) => this.disks.importDisk(...asked);
}
