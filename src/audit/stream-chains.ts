import { digestOf, noHash } from './event-digest.ts';
import { type Findings, nameOf } from './findings.ts';
import type { AuditedEvent } from './log-parts.ts';

/** A stream as far as it has been read. */
interface Chain {
  readonly version: number;
  /** As the last event states it. */
  readonly hash: string;
  /** What it should be, where that is something else. */
  readonly computed: string | undefined;
}

/** Streams that are followed at once: some tens of megabytes. */
const streamsMax = 200_000;
const all = 0x1_0000_0000;
/** Missing versions that are named one by one; a longer gap is one finding. */
const gapNamedMax = 20;

/**
 * Checks, event by event in global order, that each has the hash that its content and its predecessor give it. Where a log
 * has more streams than are followed at once, a pass covers a part of them, by a hash of their ids, and the next one another
 * part: memory stays the same, however many there are.
 */
export class StreamChains {
  readonly #findings: Findings;
  readonly #streamsMax: number;
  /** Whether the first event seen of a stream may be any: true of an extract, which says itself what came before. */
  readonly #isExtract: boolean;
  readonly #chains = new Map<string, Chain>();
  #from = 0;
  #to = all;

  constructor(findings: Findings, options: { isExtract?: boolean; streamsMax?: number } = {}) {
    this.#findings = findings;
    this.#isExtract = options.isExtract ?? false;
    this.#streamsMax = options.streamsMax ?? streamsMax;
  }

  /** Begins the pass over the part of the streams that comes next; false when all have been covered. */
  nextPass(): boolean {
    this.#chains.clear();
    this.#from = this.#to;
    this.#to = all;
    return this.#from < all;
  }

  check(event: AuditedEvent): void {
    const isPart = this.#from > 0 || this.#to < all;
    if (isPart && !this.#covers(event.streamId)) return;
    const chain = this.#chains.get(event.streamId) ?? this.#begin(event);
    const version = Number(event.version);
    if (version <= chain.version) this.#again(event, version, chain);
    else if (version === chain.version + 1) this.#follow(event, version, chain);
    else {
      this.#gap(event, version, chain.version);
      this.#keep(event.streamId, { version, hash: event.hash, computed: undefined });
    }
  }

  #follow(event: AuditedEvent, version: number, chain: Chain): void {
    const expected = expectedHash(chain.hash, event);
    const isRight = expected === event.hash;
    // The hash of the one before may be what was changed; then this one still fits what that one should have been.
    const fitsBefore =
      !isRight && chain.computed !== undefined && expectedHash(chain.computed, event) === event.hash;
    if (!isRight && !fitsBefore) this.#edited(event, expected);
    this.#keep(event.streamId, {
      version,
      hash: event.hash,
      computed: isRight || fitsBefore ? undefined : expected,
    });
  }

  #begin({ version, previousHash }: AuditedEvent): Chain {
    const isMiddle = this.#isExtract && Number(version) > 1 && isHash(previousHash);
    return isMiddle
      ? { version: Number(version) - 1, hash: previousHash, computed: undefined }
      : { version: 0, hash: noHash, computed: undefined };
  }

  #edited(event: AuditedEvent, expected: string | undefined) {
    const detail =
      expected === undefined
        ? 'what is stored is not as any writer of the log leaves it'
        : `its content and the event before give hash ${expected}, but it states ${event.hash}`;
    this.#findings.add({ kind: 'edited', event: nameOf(event), checkpoint: null, detail });
  }

  #gap(event: AuditedEvent, version: number, last: number) {
    const { streamId } = event;
    const add = (name: string, detail: string) =>
      this.#findings.add({
        kind: 'missing',
        event: { streamId, version: name, position: null },
        checkpoint: null,
        detail,
      });
    if (version - last - 1 > gapNamedMax)
      return add(`${last + 1}`, `versions ${last + 1} to ${version - 1} are not there`);
    for (let gone = last + 1; gone < version; gone += 1)
      add(`${gone}`, `version ${version} comes after ${last}`);
  }

  /** A version that should have come before: at the wrong place if it was missed there, else one too many. */
  #again(event: AuditedEvent, version: number, chain: Chain) {
    const event_ = nameOf(event);
    if (this.#findings.withdraw('missing', event.streamId, event.version))
      this.#findings.add({
        kind: 'reordered',
        event: event_,
        checkpoint: null,
        detail: `it comes after version ${chain.version}`,
      });
    else if (version === chain.version && event.hash === chain.hash)
      this.#findings.add({
        kind: 'duplicated',
        event: event_,
        checkpoint: null,
        detail: 'it is there twice',
      });
    else
      this.#findings.add({
        kind: 'forked',
        event: event_,
        checkpoint: null,
        detail: 'there is another event of that version',
      });
  }

  #covers(streamId: string): boolean {
    const hash = fnv(streamId);
    return hash >= this.#from && hash < this.#to;
  }

  #keep(streamId: string, chain: Chain) {
    this.#chains.set(streamId, chain);
    while (this.#chains.size > this.#streamsMax) this.#narrow();
  }

  /** Leaves the upper half of what is covered to the next pass. */
  #narrow() {
    this.#to = this.#from + Math.ceil((this.#to - this.#from) / 2);
    for (const streamId of this.#chains.keys()) if (!this.#covers(streamId)) this.#chains.delete(streamId);
  }
}

const isHash = (text: string | undefined): text is string =>
  text !== undefined && /^[0-9a-f]{64}$/.test(text);

/** The hash that the event should have after `previous`. */
const expectedHash = (previous: string, { envelope }: AuditedEvent): string | undefined =>
  envelope === undefined ? undefined : digestOf(previous, envelope);

/** FNV-1a of 32 bits with a final mix, so that halves by value are halves by number. */
const fnv = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
};
