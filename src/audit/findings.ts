/** What has been done to the log, as far as what is left of it tells. */
export type FindingKind =
  /** Not what its hash or a checkpoint says it was. */
  | 'edited'
  | 'missing'
  /** At another place than the one it was given. */
  | 'reordered'
  | 'duplicated'
  /** A second, different event, or a second history, where there can be one. */
  | 'forked'
  | 'inserted'
  /** The end of a stream or of the log is gone. */
  | 'truncated'
  /** A checkpoint that is not the key holder's. */
  | 'forged';

/** One thing that is wrong, and with which event or checkpoint. */
export interface Finding {
  readonly kind: FindingKind;
  readonly event: EventName | null;
  /** Sequence number of the checkpoint that it was found by, or that is wrong itself. */
  readonly checkpoint: number | null;
  readonly detail: string;
}

export interface EventName {
  readonly streamId: string;
  readonly version: string;
  /** Null when nobody knows any more. */
  readonly position: string | null;
}

export const nameOf = ({ streamId, version, position }: EventName): EventName => ({
  streamId,
  version,
  position,
});

/** More are counted, not kept: a log that is wrong from end to end must not fill the memory. */
const keptMax = 1_000;

export class Findings {
  readonly #kept = new Map<string, Finding>();
  #beyond = 0;

  add(finding: Finding): void {
    const { kind, event, checkpoint, detail } = finding;
    const key =
      event === null ? `${kind} ${checkpoint} ${detail}` : `${kind} ${event.streamId} ${event.version}`;
    if (this.#kept.has(key)) return;
    if (this.#kept.size < keptMax) this.#kept.set(key, finding);
    else this.#beyond += 1;
  }

  /** Takes back what has turned out to be something else. */
  withdraw(kind: FindingKind, streamId: string, version: string): boolean {
    return this.#kept.delete(`${kind} ${streamId} ${version}`);
  }

  get list(): readonly Finding[] {
    return [...this.#kept.values()];
  }

  /** How many there were beyond those in the list. */
  get beyond(): number {
    return this.#beyond;
  }
}
