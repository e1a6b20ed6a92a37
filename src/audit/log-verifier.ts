import {
  type Checkpoint,
  checkpointHash,
  firstPrevious,
  isSignedBy,
  readCheckpoint,
  type SignedCheckpoint,
} from './checkpoint.ts';
import { type FindingKind, type Findings, nameOf } from './findings.ts';
import { leafHashOf } from './leaf.ts';
import type { AuditedEvent } from './log-parts.ts';
import { CompactRange } from './merkle.ts';
import { beginning, comparePlaces, type Place, placeText, samePlace } from './place.ts';
import type { KeyRing } from './public-keys.ts';
import type { StreamChains } from './stream-chains.ts';

/** A checkpoint whose events are not those that it signs. */
export interface Mismatch {
  readonly checkpoint: Checkpoint;
  /** Events found in its range. */
  readonly found: number;
}

const mismatchesMax = 100;

interface VerifierOptions {
  readonly findings: Findings;
  readonly chains: StreamChains;
  readonly keys: KeyRing;
  /** Of the first checkpoint that there is to be. */
  readonly fromSequence: number;
}

/**
 * Takes a log part by part and finds what is wrong with it. Keeps one tree, one checkpoint and the ends of the streams,
 * whatever the length of the log.
 */
export class LogVerifier {
  readonly #options: VerifierOptions;
  readonly mismatches: Mismatch[] = [];
  #tree = new CompactRange();
  #place: Place = beginning;
  #last: { readonly checkpoint: Checkpoint; readonly hash: string } | undefined;
  /** Whether the checkpoint before the next one could be read, or is none of ours. */
  #isLinked = true;
  #events = 0;
  #checkpoints = 0;
  #archivedEvents = 0;
  readonly #archives = new Set<string>();

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  /** Events so far, of them those after the last checkpoint, the checkpoints, and what these sign and is not here. */
  get counts() {
    const archived = { events: this.#archivedEvents, files: [...this.#archives] };
    return { events: this.#events, unsealed: this.#tree.size, checkpoints: this.#checkpoints, archived };
  }

  get last(): { readonly checkpoint: Checkpoint; readonly hash: string } | undefined {
    return this.#last;
  }

  events(events: readonly AuditedEvent[]): void {
    const { chains } = this.#options;
    for (const event of events) {
      if (this.#events > 0 && comparePlaces(this.#place, event) >= 0) this.#misplaced(event);
      this.#place = event;
      this.#tree.append(leafHashOf(event));
      chains.check(event);
      this.#events += 1;
    }
  }

  uncovered(): void {
    this.#tree = new CompactRange();
  }

  /** `archive`: where its events are, when they are not here; then they are not compared with what it signs. */
  checkpoint(signed: SignedCheckpoint, archive?: string): void {
    const tree = this.#tree;
    this.#tree = new CompactRange();
    this.#checkpoints += 1;
    const checkpoint = readCheckpoint(signed.body);
    if (typeof checkpoint === 'string') {
      this.#find('forged', this.#expected, checkpoint);
      this.#isLinked = false;
      return;
    }
    this.#checkSignature(checkpoint, signed);
    if (this.#isLinked) this.#checkLink(checkpoint);
    else if (checkpoint.sequence !== this.#expected + 1)
      this.#find('missing', checkpoint.sequence - 1, 'it is not there');
    if (archive === undefined) this.#compare(checkpoint, tree);
    else this.#passOver(checkpoint, tree, archive);
    this.#last = { checkpoint, hash: checkpointHash(signed) };
    this.#isLinked = true;
  }

  #compare(checkpoint: Checkpoint, tree: CompactRange) {
    const isWhole = tree.size === checkpoint.count && tree.root() === checkpoint.root;
    if (!isWhole || !samePlace(this.#place, checkpoint.to)) this.#mismatch({ checkpoint, found: tree.size });
  }

  #passOver({ count }: Checkpoint, tree: CompactRange, archive: string) {
    this.#archivedEvents += count - tree.size;
    this.#archives.add(archive);
  }

  #checkSignature({ sequence, keyId }: Checkpoint, signed: SignedCheckpoint) {
    const key = this.#options.keys.find(keyId);
    if (key === undefined)
      this.#find('forged', sequence, `it is signed by key ${keyId}, which is not among the keys given`);
    else if (!isSignedBy(signed, key))
      this.#find('forged', sequence, `its signature is not that of key ${keyId}`);
  }

  /** That it goes on where the one before has ended. */
  #checkLink({ sequence, previous, after, total, count, logId }: Checkpoint) {
    const before = this.#last?.checkpoint;
    const expected = this.#expected;
    if (sequence > expected) {
      for (let gone = expected; gone < Math.min(sequence, expected + 20); gone += 1)
        this.#find('missing', gone, 'it is not there');
      return;
    }
    if (sequence < expected) {
      this.#find('duplicated', sequence, `it comes after checkpoint ${expected - 1}`);
      return;
    }
    if (before === undefined && expected > 1) return; // whatever comes before is not here
    const follows =
      previous === (this.#last?.hash ?? firstPrevious) && (before === undefined || before.logId === logId);
    if (!follows) {
      this.#find('forked', sequence, 'it does not follow the checkpoint before it');
      return;
    }
    const goesOn = samePlace(after, before?.to ?? beginning) && total === (before?.total ?? 0) + count;
    if (!goesOn) this.#find('forged', sequence, 'it does not go on where the checkpoint before it ends');
  }

  /** Sequence number of the checkpoint that comes next. */
  get #expected(): number {
    return this.#last === undefined ? this.#options.fromSequence : this.#last.checkpoint.sequence + 1;
  }

  #misplaced(event: AuditedEvent) {
    const kind = samePlace(this.#place, event) ? 'duplicated' : 'reordered';
    const detail = `it comes after place ${placeText(this.#place)} and is at ${placeText(event)}`;
    this.#options.findings.add({ kind, event: nameOf(event), checkpoint: null, detail });
  }

  #mismatch(mismatch: Mismatch) {
    if (this.mismatches.length < mismatchesMax) this.mismatches.push(mismatch);
    else this.#find('edited', mismatch.checkpoint.sequence, mismatchText(mismatch));
  }

  #find(kind: FindingKind, checkpoint: number, detail: string) {
    this.#options.findings.add({ kind, event: null, checkpoint, detail });
  }
}

export const mismatchText = ({ checkpoint: { count, after, to }, found }: Mismatch): string =>
  `it signs ${count} events after place ${placeText(after)} up to ${placeText(to)}; ` +
  (found === count ? 'those that are there are not the same' : `there are ${found}`);
