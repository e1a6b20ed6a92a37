import { BoxledgerError } from '../kernel/errors.ts';
import {
  type Checkpoint,
  checkpointHash,
  isSignedBy,
  readCheckpoint,
  type SignedCheckpoint,
} from './checkpoint.ts';
import { type Finding, Findings } from './findings.ts';
import type { VerifiableLog } from './log-parts.ts';
import { LogVerifier } from './log-verifier.ts';
import { nameCulprits } from './name-culprits.ts';
import { KeyRing } from './public-keys.ts';
import { StreamChains } from './stream-chains.ts';
import { strayFinding, type Verdict } from './verdict.ts';

export interface VerifyOptions {
  /** Keys that the verifier trusts; undefined: those that the log itself names. */
  readonly keys?: KeyRing | undefined;
  /** A checkpoint that was kept elsewhere: the log must hold it. */
  readonly expect?: SignedCheckpoint | undefined;
  /** Called after each page. */
  readonly onProgress?: (share: number, events: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Streams followed at once; for tests. */
  readonly streamsMax?: number;
}

/** Reads a whole log, in a pass for each 200 000 streams, and says what is wrong with it. */
export const verifyLog = async (log: VerifiableLog, options: VerifyOptions = {}): Promise<Verdict> => {
  const { signal, onProgress, expect, streamsMax } = options;
  const keys = options.keys ?? new KeyRing(await log.keys(), false);
  const findings = new Findings();
  const chains = new StreamChains(findings, {
    isExtract: log.fromSequence > 1,
    ...(streamsMax === undefined ? {} : { streamsMax }),
  });
  const verifier = new LogVerifier({ findings, chains, keys, fromSequence: log.fromSequence });
  const expected = expect && new Expectation(expect, keys);
  for await (const part of log.parts()) {
    signal?.throwIfAborted();
    if (part.kind === 'events') verifier.events(part.events);
    else if (part.kind === 'uncovered') verifier.uncovered();
    else {
      verifier.checkpoint(part.signed, part.archive);
      expected?.meet(part.signed);
    }
    onProgress?.(log.share(), verifier.counts.events);
  }
  while (chains.nextPass())
    for await (const part of log.parts()) {
      signal?.throwIfAborted();
      if (part.kind === 'events') for (const event of part.events) chains.check(event);
      onProgress?.(log.share(), verifier.counts.events);
    }
  for (const mismatch of verifier.mismatches) await nameCulprits(mismatch, log.evidence, findings);
  for (const stray of (await log.evidence?.strayHeads()) ?? []) findings.add(strayFinding(stray));
  for (const finding of log.findings?.() ?? []) findings.add(finding);
  for (const finding of endFindings(log, verifier.last?.checkpoint.sequence ?? 0)) findings.add(finding);
  const cut = expected?.verdict(verifier.last?.checkpoint.sequence ?? 0);
  if (cut !== undefined) findings.add(cut);
  return {
    ...verifier.counts,
    last: verifier.last ?? null,
    keysTrusted: keys.trusted,
    findings: findings.list,
    findingsBeyond: findings.beyond,
  };
};

/** What by its own account should be there and is not. */
const endFindings = ({ cut, toSequence }: VerifiableLog, last: number): readonly Finding[] => {
  const truncated = { kind: 'truncated', event: null } as const;
  return [
    ...(cut === undefined ? [] : [{ ...truncated, checkpoint: null, detail: cut }]),
    ...(toSequence === null || toSequence <= last
      ? []
      : [{ ...truncated, checkpoint: toSequence, detail: `the last checkpoint that is there is ${last}` }]),
  ];
};

/** The checkpoint that somebody else kept. */
class Expectation {
  readonly #checkpoint: Checkpoint;
  readonly #hash: string;
  #met: string | undefined;

  constructor(signed: SignedCheckpoint, keys: KeyRing) {
    const checkpoint = readCheckpoint(signed.body);
    if (typeof checkpoint === 'string') throw notExpected(checkpoint);
    const key = keys.find(checkpoint.keyId);
    if (key === undefined || !isSignedBy(signed, key))
      throw notExpected(`key ${checkpoint.keyId} has not signed it`);
    this.#checkpoint = checkpoint;
    this.#hash = checkpointHash(signed);
  }

  meet(signed: SignedCheckpoint): void {
    const found = readCheckpoint(signed.body);
    if (typeof found !== 'string' && found.sequence === this.#checkpoint.sequence)
      this.#met = checkpointHash(signed);
  }

  verdict(lastSequence: number): Finding | undefined {
    const { sequence, total } = this.#checkpoint;
    const finding = { event: null, checkpoint: sequence };
    if (this.#met === this.#hash) return undefined;
    if (this.#met !== undefined)
      return { ...finding, kind: 'forked', detail: 'the log has another checkpoint than the one expected' };
    if (sequence < lastSequence)
      return { ...finding, kind: 'missing', detail: 'the expected checkpoint is not there' };
    return {
      ...finding,
      kind: 'truncated',
      detail: `the log was signed up to checkpoint ${sequence} with ${total} events; its last checkpoint now is ${lastSequence}`,
    };
  }
}

const notExpected = (problem: string) =>
  new BoxledgerError('InvalidArgument', `the expected checkpoint is of no use: ${problem}`, {
    help: 'Give a checkpoint of this log as a sink received it, and the key that signed it.',
  });
