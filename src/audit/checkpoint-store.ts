import type { SignedCheckpoint } from './checkpoint.ts';
import type { LeafEntry } from './leaf.ts';
import type { Place } from './place.ts';

/** A checkpoint with all that is kept of it. */
export interface NewCheckpoint {
  readonly sequence: number;
  readonly to: Place;
  readonly keyId: string;
  readonly signed: SignedCheckpoint;
  /** The leaves it was made of, 48 bytes each. */
  readonly leafInputs: Uint8Array;
}

/** What a maker may do while no other one, in whatever process, makes checkpoints. All of it commits or none. */
export interface MakingSession {
  last(): Promise<SignedCheckpoint | undefined>;
  /**
   * What is to be signed after a place, in global order, as far as nothing can come between it any more. Ends where the
   * partition of `first`, the first of the checkpoint, ends; undefined: of whatever comes first now.
   */
  leavesAfter(place: Place, limit: number, first: LeafEntry | undefined): Promise<readonly LeafEntry[]>;
  add(checkpoint: NewCheckpoint): Promise<void>;
}

/** Where checkpoints are kept. Failures are thrown as `BoxledgerError`. */
export interface CheckpointStore {
  /** Makes a public key known before anything is signed with it. */
  addKey(keyId: string, publicKeyHex: string): Promise<void>;
  /** Resolves with undefined, without `work` being called, while somebody else makes checkpoints. */
  exclusively<Result>(work: (session: MakingSession) => Promise<Result>): Promise<Result | undefined>;
  last(): Promise<SignedCheckpoint | undefined>;
  /** The last place of the log that can be signed now; undefined while the log is empty. */
  end(): Promise<Place | undefined>;
  from(sequence: number, limit: number): Promise<readonly SignedCheckpoint[]>;
  sinks(): Promise<readonly SinkState[]>;
  noteSent(sink: string, sequence: number): Promise<void>;
  noteFailure(sink: string, error: string): Promise<void>;
}

/** How far a sink has got. */
export interface SinkState {
  readonly sink: string;
  /** It has every checkpoint up to this one; 0: none. */
  readonly sentSequence: number;
  /** Since when it has taken none, although there were some. */
  readonly failingSince: Date | null;
  readonly lastError: string | null;
}
