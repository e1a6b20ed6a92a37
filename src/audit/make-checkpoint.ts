import { randomBytes } from 'node:crypto';
import { assert } from '../kernel/assert.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import {
  type Checkpoint,
  checkpointHash,
  firstPrevious,
  readCheckpoint,
  type SignedCheckpoint,
  signCheckpoint,
} from './checkpoint.ts';
import type { CheckpointStore, MakingSession } from './checkpoint-store.ts';
import { type LeafEntry, leafBytes, writeLeaf } from './leaf.ts';
import { CompactRange, leafHash } from './merkle.ts';
import { beginning } from './place.ts';
import type { SigningKey } from './signing-key.ts';

export interface MakeOptions {
  readonly store: CheckpointStore;
  readonly key: SigningKey;
  /** Most events in one checkpoint. */
  readonly eventsMax: number;
  /** RFC 3339, UTC, with milliseconds. */
  readonly now: () => string;
  readonly crash: CrashProbe;
}

const pageSize = 10_000;

/**
 * Signs what of the log is not signed yet, up to `eventsMax` events. Undefined when there is nothing, or when somebody else
 * is at it. It takes no lock that an append takes.
 */
export const makeCheckpoint = async (options: MakeOptions): Promise<Checkpoint | undefined> => {
  const made = await options.store.exclusively((session) => make(session, options));
  if (made !== undefined) options.crash('checkpoint.stored', 'checkpoint');
  return made;
};

const make = async (
  session: MakingSession,
  { key, eventsMax, now, crash }: MakeOptions,
): Promise<Checkpoint | undefined> => {
  const signedBefore = await session.last();
  const before = signedBefore && understood(signedBefore);
  const after = before?.to ?? beginning;
  const batch = new Batch();
  while (batch.count < eventsMax) {
    const wanted = Math.min(pageSize, eventsMax - batch.count);
    const page = await session.leavesAfter(batch.last ?? after, wanted, batch.first);
    batch.add(page);
    if (page.length < wanted) break;
  }
  const { last, count } = batch;
  if (last === undefined) return undefined;
  const to = { transactionId: last.transactionId, position: last.position };
  const checkpoint: Checkpoint = {
    format: 'boxledger-checkpoint/1',
    logId: before?.logId ?? randomBytes(16).toString('hex'),
    sequence: (before?.sequence ?? 0) + 1,
    previous: signedBefore === undefined ? firstPrevious : checkpointHash(signedBefore),
    after,
    to,
    count,
    total: (before?.total ?? 0) + count,
    root: batch.root(),
    time: now(),
    keyId: key.keyId,
  };
  const signed = signCheckpoint(checkpoint, key.privateKey);
  crash('checkpoint.made', 'checkpoint');
  const { sequence, keyId } = checkpoint;
  await session.add({ sequence, to, keyId, signed, leafInputs: batch.leafInputs() });
  return checkpoint;
};

const understood = (signed: SignedCheckpoint): Checkpoint => {
  const checkpoint = readCheckpoint(signed.body);
  assert(typeof checkpoint !== 'string', `the last checkpoint can be gone on from: ${checkpoint}`);
  return checkpoint;
};

/** The events of one checkpoint: 48 bytes of each. */
class Batch {
  readonly #tree = new CompactRange();
  readonly #inputs: Buffer[] = [];
  first: LeafEntry | undefined;
  last: LeafEntry | undefined;

  get count(): number {
    return this.#tree.size;
  }

  add(entries: readonly LeafEntry[]): void {
    const inputs = Buffer.alloc(entries.length * leafBytes);
    entries.forEach((entry, index) => {
      const at = index * leafBytes;
      writeLeaf(inputs, at, entry);
      this.#tree.append(leafHash(inputs.subarray(at, at + leafBytes)));
    });
    this.#inputs.push(inputs);
    this.first ??= entries[0];
    this.last = entries.at(-1) ?? this.last;
  }

  root(): string {
    return this.#tree.root();
  }

  leafInputs(): Buffer {
    return Buffer.concat(this.#inputs);
  }
}
