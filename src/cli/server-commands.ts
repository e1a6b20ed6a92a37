import type { AuditSource } from '../audit/audit-source.ts';
import type { KeyRing } from '../audit/public-keys.ts';
import type { Projection } from '../events/projections.ts';
import type { JsonChange } from '../kernel/json-changes.ts';
import type { ServeOptions } from './serve-options.ts';

/** The commands that are not a client's: whoever composes the server brings them. Failures are thrown. */
export interface ServerCommands {
  /** Serves until the signal fires, then ends in good order and resolves. `ready` is called once it can serve. */
  serve(options: ServeOptions, signal: AbortSignal, ready: (server: ReadyServer) => void): Promise<void>;
  /** Brings the database's schema up to date; resolves with the migrations applied now, in order. */
  migrate(options: ServeOptions, signal: AbortSignal): Promise<readonly string[]>;
  /** Makes heads and rows of boxes again from the log; `folded` is told how many streams have been. */
  rebuild(
    options: ServeOptions,
    asked: { readonly only: Projection | undefined; readonly folded: (streams: number) => void },
    signal: AbortSignal,
  ): Promise<{ readonly streams: number }>;
  /** Folds live boxes by this program's statechart, or by that of a module, and reports those that would be others. */
  preview(
    options: ServeOptions,
    asked: {
      /** Absolute path of a module that exports another `boxAggregate`. */
      readonly machine: string | undefined;
      readonly report: (finding: PreviewFinding) => Promise<void>;
    },
    signal: AbortSignal,
  ): Promise<PreviewSummary>;
  /** Looks at the machine and the configuration, changing nothing. */
  doctor(options: ServeOptions, signal: AbortSignal): Promise<readonly Finding[]>;
  /** Moves what is old out of the database; as its owner. */
  archive(options: ServeOptions, asked: ArchiveAsked, signal: AbortSignal): Promise<ArchiveOutcome>;
  /** What machines of this host start from. */
  readonly images: ImageCommands;
  /** Opens the log past any server; to be closed. */
  audit(options: ServeOptions): Promise<AuditSource>;
}

export interface ImageCommands {
  /** Paths are absolute. `from`: a root file system in place of the base. `kernelPackage` undefined: what apt knows. */
  build(
    options: ServeOptions,
    asked: {
      readonly base: 'busybox' | 'debian';
      readonly from: string | undefined;
      readonly kernelPackage: string | undefined;
    },
  ): Promise<HostImage>;
  list(options: ServeOptions): Promise<readonly HostImage[]>;
  remove(options: ServeOptions, digest: string): Promise<void>;
}

/** `bytes`: of its files. `isCurrent`: new boxes get it. `disks`: those of boxes and snapshots that stand on it. */
export interface HostImage {
  readonly digest: string;
  readonly kernelVersion: string;
  readonly agentVersion: string;
  readonly bytes: number;
  readonly isCurrent: boolean;
  readonly disks: number;
}

export interface ReadyServer {
  /** HOST:PORT that it listens on. */
  readonly grpc: string;
  readonly dataDir: string;
  /** HOST:PORT that can be scraped; undefined: none. */
  readonly metrics?: string | undefined;
}

/** What doctor says of one thing. `help`: what to do about it. */
export interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failure';
  readonly detail: string;
  readonly help?: string | undefined;
}

export interface ArchiveAsked {
  /** Only what was signed earlier, or by an earlier checkpoint. */
  readonly before: { readonly time: Date } | { readonly sequence: number };
  /** Absolute; undefined: in the data dir. */
  readonly directory: string | undefined;
  readonly keys: KeyRing | undefined;
  readonly dryRun: boolean;
  /** Told of each once it has left the database. */
  readonly archived: (part: ArchivedPart) => Promise<void>;
}

/** A part of the log that has left the database, or would. */
export interface ArchivedPart {
  readonly file: string;
  readonly events: number;
  readonly fromSequence: number;
  readonly toSequence: number;
}

export interface ArchiveOutcome {
  readonly directory: string;
  readonly parts: readonly ArchivedPart[];
  /** Why what comes next stays, in words. */
  readonly stays: string;
}

/** A live box that would be another by the statechart that is previewed. */
export type PreviewFinding = {
  readonly boxId: string;
  readonly name: string;
  readonly version: bigint;
} & (
  | { readonly kind: 'differs'; readonly changes: readonly JsonChange[] }
  /** Its history cannot be folded. */
  | { readonly kind: 'unfoldable'; readonly problem: string }
);

export interface PreviewSummary {
  readonly boxes: number;
  readonly differing: number;
  /** Boxes whose head was made by another statechart, and would be folded afresh when next used. */
  readonly otherChart: number;
}
