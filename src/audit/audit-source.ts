import type { ArchiveRecord } from './archive-record.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import type { SinkState } from './checkpoint-store.ts';
import type { ExportKey } from './export-lines.ts';
import type { AuditedEvent, StrayHead, VerifiableLog } from './log-parts.ts';
import type { Place } from './place.ts';
import type { StreamSource } from './stream-extract.ts';

/** A log as whoever audits it reads it: one moment of its database, past the program that wrote it. */
export interface AuditSource extends VerifiableLog, StreamSource {
  /** All events that are in the database, or those after a place, in global order. */
  events(after?: Place): AsyncIterable<readonly AuditedEvent[]>;
  /** What has left the database, oldest first. */
  archives(): Promise<readonly ArchiveRecord[]>;
  /** Of some streams, those that have left it. */
  archivedStreams(streamIds: readonly string[]): Promise<ReadonlySet<string>>;
  keyList(): Promise<readonly ExportKey[]>;
  /** From a sequence number on, in order. */
  checkpoints(from?: number): AsyncIterable<SignedCheckpoint>;
  /** Events after a place up to another one, in global order, each with its previous hash. */
  between(after: Place, to: Place): AsyncIterable<readonly AuditedEvent[]>;
  strayHeadsOf(streamId: string): Promise<readonly StrayHead[]>;
  /** The one stream that is called so: by a stream's id, a box's id, or the name of a box that is not removed. */
  findStream(name: string): Promise<string>;
  status(): Promise<AuditStatus>;
  close(): Promise<void>;
}

export interface AuditStatus {
  readonly last: SignedCheckpoint | undefined;
  /** Events that no checkpoint covers. */
  readonly unsealed: number;
  readonly sinks: readonly SinkState[];
}
