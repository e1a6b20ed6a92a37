import type { BoxView } from '../events/box-view.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { DomainEvent, Provenance, RecordedEvent } from '../events/envelope.ts';
import type {
  BoxId,
  CommandId,
  EffectId,
  ExecId,
  HostId,
  StreamId,
  TenantId,
  Version,
} from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import type { Timestamp } from '../kernel/time.ts';

/** A stream's present: a cache of its fold, thrown away when `fingerprint` is not the statechart's own. */
export interface Head {
  readonly streamId: StreamId;
  readonly tenant: TenantId;
  readonly version: Version;
  /** Hash of the last event. */
  readonly hash: string;
  readonly snapshot: JsonValue;
  readonly fingerprint: string;
}

/** One row of the `boxes` read model: what lists and filters need without a fold. */
export interface BoxRow {
  readonly boxId: BoxId;
  readonly tenant: TenantId;
  readonly name: string;
  /** Top state of the statechart: `configured`, `running`, … */
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly hostId: string | null;
  /** Everything of the box that its users may see; the same as a fold of its stream gives. */
  readonly view: BoxView;
}

/** New events of one stream, and what commits with them. */
export interface StreamAppend {
  readonly streamId: StreamId;
  /** 0 for a stream that must not exist yet. */
  readonly expectedVersion: Version;
  /** Hash of the event at `expectedVersion`; empty for a new stream. */
  readonly previousHash: string;
  readonly events: readonly [DomainEvent, ...DomainEvent[]];
  readonly snapshot: JsonValue;
  readonly fingerprint: string;
  readonly effects: readonly EffectIntent[];
  readonly cancels: readonly EffectId[];
  readonly row: BoxRow | null;
}

/** What is kept of an answered command, so that the same command gets the same answer. */
export interface CommandAnswer {
  readonly kind: 'accepted' | 'already-so';
  readonly streamId: StreamId;
  readonly version: Version;
}

export interface AppendRequest {
  /** `digest`: SHA-256 over what the caller asked; the same id with another digest is a conflict. */
  readonly command: { readonly id: CommandId; readonly digest: string; readonly answer: CommandAnswer };
  readonly provenance: Provenance;
  readonly occurredAt: Timestamp;
  /** All or none are appended. Empty to record only the answer of an `already-so`. */
  readonly streams: readonly StreamAppend[];
  /** The claim whose outcome this is: when it is no longer held, nothing is appended. */
  readonly settles: EffectClaim | null;
}

/** One attempt at an effect, by one epoch of one host. */
export interface EffectClaim {
  readonly effectId: EffectId;
  readonly attempt: number;
}

export type AppendResult =
  | { readonly kind: 'appended'; readonly streams: readonly AppendedStream[] }
  | { readonly kind: 'version-conflict'; readonly streamId: StreamId }
  /** This very command was answered before. */
  | { readonly kind: 'answered-before'; readonly answer: CommandAnswer }
  /** The command id was used for something else. */
  | { readonly kind: 'command-reused' }
  | { readonly kind: 'name-taken'; readonly name: string }
  /** The claim that was to be settled is not held any more. */
  | { readonly kind: 'claim-lost' };

/** Where a stream ends. */
export interface StreamEnd {
  readonly streamId: StreamId;
  readonly version: Version;
}

export interface AppendedStream extends StreamEnd {
  readonly hash: string;
  readonly events: readonly RecordedEvent[];
}

/**
 * Where events are kept. Every method throws `BoxledgerError` with code `Unavailable` when the database cannot be
 * reached; whether an append that failed so was committed is unknown, and repeating it with the same command id tells.
 */
export interface EventStore {
  /** One indexed read, however long the stream. */
  load(streamId: StreamId): Promise<Head | undefined>;
  /** One round trip. Events, effects, heads, rows and the command's answer commit together or not at all. */
  append(request: AppendRequest): Promise<AppendResult>;
  /** The answer of a command that was accepted before, if any. */
  answerOf(
    tenant: TenantId,
    id: CommandId,
    digest: string,
  ): Promise<Extract<AppendResult, { kind: 'answered-before' | 'command-reused' }> | undefined>;
}

/** A place in the global order, opaque to its holder; `''` is the beginning. */
export type Cursor = string;

export interface LogPage {
  readonly events: readonly (RecordedEvent & { readonly cursor: Cursor })[];
  /**
   * Where to go on: as far as was looked, which with a filter may be beyond the last event, so that what does not fit is
   * looked at once.
   */
  readonly cursor: Cursor;
  /** Whether that was everything that can be read now. With a filter a page may be short, or empty, and not at the end. */
  readonly atEnd: boolean;
}

export interface LogFilter {
  readonly tenant?: TenantId | undefined;
  readonly streamId?: StreamId | undefined;
  /** Stream categories: `box`, `exec`, `host`. */
  readonly categories?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
}

/**
 * The log as readers see it. What has left the database for an archive is refused with `InvalidState`, and never passed over.
 */
export interface EventLog {
  /** Events of one stream with `version > after`, oldest first, at most `limit`. */
  readStream(streamId: StreamId, after: Version, limit: number): Promise<readonly RecordedEvent[]>;
  /**
   * Events after `cursor` in an order that no later commit can change: none is ever skipped. Looks at a bounded number of
   * events, however few of them fit.
   */
  readAll(cursor: Cursor, limit: number, filter?: LogFilter): Promise<LogPage>;
  /** Whether `cursor` is a later place than `other`. */
  isAfter(cursor: Cursor, other: Cursor): boolean;
  /** The cursor after everything that is readable now. */
  end(): Promise<Cursor>;
  /**
   * Calls `wake` soon after something may have been appended: with what it was, straight after the commit, when this process
   * did it, and with null when another may have. Never instead of polling.
   */
  onAppend(wake: (own: readonly StreamEnd[] | null) => void): () => void;
}

export interface BoxFilter {
  readonly states?: readonly string[] | undefined;
  /** All must be equal. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly namePrefix?: string | undefined;
  /** Removed boxes are left out unless asked for. */
  readonly includeRemoved?: boolean | undefined;
}

export interface BoxRecord extends BoxRow {
  readonly version: Version;
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}

/** The `boxes` read model. It commits with the events, so it is never behind them. */
export interface BoxDirectory {
  /** By name, id, or an id prefix (with or without `bx_`) that only one box has. Removed boxes only by their whole id. */
  find(tenant: TenantId, nameOrId: string): Promise<BoxLookup>;
  /** In order of creation, oldest first. `pageToken` is opaque; the result's is empty at the end. */
  list(
    tenant: TenantId,
    filter: BoxFilter,
    page: { readonly size: number; readonly token: string },
  ): Promise<{ readonly boxes: readonly BoxRecord[]; readonly nextPageToken: string }>;
  /** Number of boxes by state, without the removed. */
  count(tenant: TenantId): Promise<Readonly<Record<string, number>>>;
}

export type BoxLookup =
  | { readonly kind: 'found'; readonly box: BoxRecord }
  | { readonly kind: 'none' }
  | { readonly kind: 'ambiguous'; readonly boxIds: readonly BoxId[] };

/** Execs as their heads have them. */
export interface ExecDirectory {
  /**
   * Those of boxes on the host that have not ended, in order of their ids, only above `after` (`''`: from the first), at
   * most `limit`.
   */
  open(
    hostId: HostId,
    after: string,
    limit: number,
  ): Promise<readonly { readonly execId: ExecId; readonly tenant: TenantId; readonly boxId: BoxId }[]>;
  /**
   * When the boxes of the host that are up and may be idle for too long were last used, by an exec or a copy that has ended; null:
   * never. In order of their ids, only above `after` (`''`: from the first), at most `limit`.
   */
  lastUses(
    hostId: HostId,
    after: string,
    limit: number,
  ): Promise<readonly { readonly boxId: BoxId; readonly lastUsedAt: Timestamp | null }[]>;
  /** Of one box, all that it ever had. `errors`: those that could not be started, or whose end nobody saw. */
  count(boxId: BoxId): Promise<{ readonly execs: number; readonly errors: number }>;
  /** Of one box, newest first. `token` is opaque; the result's is empty at the end. */
  list(
    boxId: BoxId,
    includeEnded: boolean,
    page: { readonly size: number; readonly token: string },
  ): Promise<{ readonly execIds: readonly ExecId[]; readonly nextPageToken: string }>;
}
