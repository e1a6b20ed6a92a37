import type { Checkpoint } from './checkpoint.ts';
import { Findings, nameOf } from './findings.ts';
import { isIncluded, trustedCheckpoint } from './inclusion.ts';
import type { AuditedEvent, LogPart, StrayHead } from './log-parts.ts';
import type { KeyRing } from './public-keys.ts';
import { StreamChains } from './stream-chains.ts';
import { strayFinding, type Verdict } from './verdict.ts';

export interface VerifyStreamOptions {
  readonly keys: KeyRing;
  /** Heads that are not as the log's end says, if they are known. */
  readonly strayHeads?: readonly StrayHead[];
  readonly onProgress?: (events: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Verifies the extract of one stream: that its events are chained without a gap, and that each is in a checkpoint. What it
 * cannot show is that the stream went on: a whole log and its checkpoints can.
 */
export const verifyStream = async (
  parts: AsyncIterable<LogPart>,
  { keys, strayHeads = [], onProgress, signal }: VerifyStreamOptions,
): Promise<Verdict> => {
  const findings = new Findings();
  const verifier = new StreamVerifier(findings, keys);
  for await (const part of parts) {
    signal?.throwIfAborted();
    verifier.take(part);
    onProgress?.(verifier.events);
  }
  for (const stray of strayHeads) findings.add(strayFinding(stray));
  return {
    events: verifier.events,
    unsealed: verifier.unsealed,
    checkpoints: verifier.checkpoints,
    archived: { events: 0, files: [] },
    last: null,
    keysTrusted: keys.trusted,
    findings: findings.list,
    findingsBeyond: findings.beyond,
  };
};

class StreamVerifier {
  readonly #findings: Findings;
  readonly #keys: KeyRing;
  readonly #chains: StreamChains;
  #checkpoint: Checkpoint | undefined;
  events = 0;
  unsealed = 0;
  checkpoints = 0;

  constructor(findings: Findings, keys: KeyRing) {
    this.#findings = findings;
    this.#keys = keys;
    this.#chains = new StreamChains(findings);
  }

  take(part: LogPart): void {
    if (part.kind === 'events') for (const event of part.events) this.#event(event);
    if (part.kind === 'uncovered') this.#checkpoint = undefined;
    if (part.kind !== 'checkpoint') return;
    this.checkpoints += 1;
    const checkpoint = trustedCheckpoint(part.signed, this.#keys);
    this.#checkpoint = typeof checkpoint === 'string' ? undefined : checkpoint;
    if (typeof checkpoint === 'string')
      this.#findings.add({ kind: 'forged', event: null, checkpoint: null, detail: checkpoint });
  }

  #event(event: AuditedEvent) {
    this.events += 1;
    this.#chains.check(event);
    const { inclusion } = event;
    const checkpoint = this.#checkpoint;
    if (inclusion === null || inclusion === undefined) {
      if (checkpoint === undefined) this.unsealed += 1;
      else this.#notSigned(event, checkpoint.sequence);
    } else if (checkpoint === undefined) this.#notSigned(event, inclusion.sequence);
    else if (!isIncluded(event, inclusion, checkpoint)) this.#notSigned(event, checkpoint.sequence);
  }

  #notSigned(event: AuditedEvent, sequence: number) {
    const detail = `checkpoint ${sequence} does not sign it at its place`;
    this.#findings.add({ kind: 'edited', event: nameOf(event), checkpoint: sequence, detail });
  }
}
