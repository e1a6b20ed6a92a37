import type { KeyObject } from 'node:crypto';
import type { SignedCheckpoint } from './checkpoint.ts';
import type { LeafEntry } from './leaf.ts';
import type { Place, StoredEvent } from './stored-event.ts';

/** An event, and in an extract the hash of the one before it in its stream. */
export type AuditedEvent = StoredEvent & { readonly previousHash?: string };

/** A log in the order in which it is verified and exported: global order, each checkpoint after the events it covers. */
export type LogPart =
  | { readonly kind: 'events'; readonly events: readonly AuditedEvent[] }
  | { readonly kind: 'checkpoint'; readonly signed: SignedCheckpoint }
  /** The events since the last checkpoint are covered by none that can be read. */
  | { readonly kind: 'uncovered' };

/** Something that can be verified: a database, or an export. */
export interface VerifiableLog {
  /** One pass over all of it; may be asked for again once it has ended. */
  parts(): AsyncIterable<LogPart>;
  /** Share of the pass that is over, from 0 to 1. */
  share(): number;
  /** Its keys by its own word. */
  keys(): Promise<readonly KeyObject[]>;
  /** Whether it begins in the middle of a log. */
  readonly isExtract: boolean;
  /** What else there is to find the wrong event by, if anything. */
  readonly evidence?: Evidence | undefined;
}

/** What only a database has: an unsigned copy of what each checkpoint signed, worth what its root says. */
export interface Evidence {
  /** Leaf inputs of a checkpoint, in order; undefined when they are gone. */
  leafInputs(sequence: number): Promise<Uint8Array | undefined>;
  /** The events that are there now between two places, the second included, in order. */
  between(after: Place, to: Place): AsyncIterable<readonly StoredEvent[]>;
  /** Of these hashes, the ones that are still known as the last of a stream. */
  headsWith(hashes: readonly string[]): Promise<readonly StreamEnd[]>;
  /** Heads that are not what the last event of their stream says, and that event's version (0: none) and hash. */
  strayHeads(): Promise<readonly StrayHead[]>;
  /** The place of any event of that hash. */
  placesOf(hashes: readonly string[]): Promise<readonly LeafEntry[]>;
}

export interface StreamEnd {
  readonly streamId: string;
  readonly version: string;
  readonly hash: string;
}

export interface StrayHead {
  readonly head: StreamEnd;
  readonly lastVersion: string;
  readonly lastHash: string | null;
}
