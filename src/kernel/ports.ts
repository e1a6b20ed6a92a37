import type { BoxId, CommandId, CopyId, CorrelationId, ExecId, ExportId, HostId, SnapshotId } from './ids.ts';
import type { Timestamp } from './time.ts';

/** Wall clock for what is recorded, monotonic clock for what is measured. */
export interface Clock {
  now(): Timestamp;
  /** Milliseconds that never step back; only differences mean anything. */
  monotonicMs(): number;
}

/** Mints ids that nobody has. */
export interface IdSource {
  boxId(): BoxId;
  execId(): ExecId;
  copyId(): CopyId;
  hostId(): HostId;
  snapshotId(): SnapshotId;
  exportId(): ExportId;
  commandId(): CommandId;
  correlationId(): CorrelationId;
}
