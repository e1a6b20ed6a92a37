import type { KeyObject } from 'node:crypto';
import type { SignedCheckpoint } from './checkpoint.ts';
import type { Finding } from './findings.ts';
import type { LeafEntry } from './leaf.ts';
import type { Place } from './place.ts';

/** An event as it is verified: its name, its place, and the text that its hash is made of. */
export interface AuditedEvent extends LeafEntry {
  readonly streamId: string;
  /** Decimal. */
  readonly version: string;
  /** The envelope as RFC 8785 JSON; undefined when what is stored has no such form, or is not as any writer leaves it. */
  readonly envelope: string | undefined;
  /** In an extract: the hash of the event before it in its stream. */
  readonly previousHash?: string | undefined;
  /** In the extract of one stream: that a checkpoint signs it; null when none does yet. */
  readonly inclusion?: Inclusion | null | undefined;
}

/** The way from an event's leaf to the root that a checkpoint signs. */
export interface Inclusion {
  /** Of the checkpoint. */
  readonly sequence: number;
  /** Of the leaf among the checkpoint's, from 0. */
  readonly index: number;
  /** Hashes of the nodes beside the way, from the bottom up. */
  readonly path: readonly string[];
}

/**
 * A log in the order in which it is verified and exported: global order, each checkpoint after the events it covers. In the
 * extract of one stream: its versions, each checkpoint before its events.
 */
export type LogPart =
  | { readonly kind: 'events'; readonly events: readonly AuditedEvent[] }
  /** `archive`: the file that its events are in, which was not given; some of them may be here all the same. */
  | { readonly kind: 'checkpoint'; readonly signed: SignedCheckpoint; readonly archive?: string | undefined }
  /** Of a log: the events since the last checkpoint are covered by none that can be read. Of a stream: those that follow. */
  | { readonly kind: 'uncovered' };

/** Something that can be verified: a database, or an export. */
export interface VerifiableLog {
  /** One pass over all of it; may be asked for again once it has ended. */
  parts(): AsyncIterable<LogPart>;
  /** Share of the pass that is over, from 0 to 1. */
  share(): number;
  /** Its keys by its own word. */
  keys(): Promise<readonly KeyObject[]>;
  /** Its first checkpoint; above 1 it begins in the middle of a log. */
  readonly fromSequence: number;
  /** Its last checkpoint; null where it goes on to the log's end. */
  readonly toSequence: number | null;
  /** What is missing at its end, in words, by its own account; known after a pass. */
  readonly cut?: string | undefined;
  /** What it has found wrong itself, by its own means; known after a pass. */
  findings?(): readonly Finding[];
  /** What else there is to find the wrong event by, if anything. */
  readonly evidence?: Evidence | undefined;
}

/** What only a database has: an unsigned copy of what each checkpoint signed, worth what its root says. */
export interface Evidence {
  /** Leaf inputs of a checkpoint, in order; undefined when they are gone. */
  leafInputs(sequence: number): Promise<Uint8Array | undefined>;
  /** The events that are there now between two places, the second included, in order. */
  between(after: Place, to: Place): AsyncIterable<readonly AuditedEvent[]>;
  /** Of these hashes, the ones that are still known as the last of a stream. */
  headsWith(hashes: readonly string[]): Promise<readonly StreamEnd[]>;
  /** Heads that are not what the last event of their stream says, and that event's version (0: none) and hash. */
  strayHeads(): Promise<readonly StrayHead[]>;
  /** Events with one of these hashes, wherever they are. */
  eventsWith(hashes: readonly string[]): Promise<readonly (LeafEntry & StreamEnd)[]>;
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
