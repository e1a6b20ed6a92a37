/*
 * What a program has written, as far as it is kept: one sequence of both streams, in which every reader has a place.
 *
 * 1. What an attached reader has yet to take is kept. Whoever reads the program's pipes stops when the slowest reader is
 *    `windowBytes` behind, so that is bounded.
 * 2. Of the rest the last `limits.execBacklogBytes` are kept for who attaches later, and older output goes.
 * 3. Places count bytes of both streams together from the program's start, so that a reader that was cut off can say what it
 *    has already.
 */
import { limits } from '../kernel/limits.ts';

export type OutputStream = 'stdout' | 'stderr';

interface Piece {
  readonly stream: OutputStream;
  /** Place of its first byte. */
  readonly at: number;
  data: Buffer;
}

/** The next thing that a reader gets. */
export type Taken =
  | { readonly kind: OutputStream; readonly data: Buffer }
  | { readonly kind: 'skipped'; readonly bytes: number };

/** How far a reader may be behind before the program is held back: half of what is kept, since its pipes still hold some. */
const windowBytes = limits.execBacklogBytes / 2;
/** Small pieces are put together up to so many bytes: each costs some hundred besides its content. */
const mergedMaxBytes = 4096;
/** A program that writes to its two streams in turn makes pieces that cannot be put together. */
const piecesMax = 16_384;

/** A reader's place. */
export interface Reader {
  at: number;
}

export class OutputLog {
  readonly #pieces: Piece[] = [];
  readonly #readers = new Set<Reader>();
  readonly #bytes = { stdout: 0, stderr: 0 };
  /** Places of the first byte that is kept, and of the next that comes. */
  #start = 0;
  #end = 0;

  get stdoutBytes(): number {
    return this.#bytes.stdout;
  }

  get stderrBytes(): number {
    return this.#bytes.stderr;
  }

  get keptBytes(): number {
    return this.#end - this.#start;
  }

  /** Whether a reader is so far behind that nothing more should be added for now. */
  get isFull(): boolean {
    const behind = this.#end - this.#slowest();
    return behind >= windowBytes || (behind > 0 && this.#pieces.length >= piecesMax);
  }

  append(stream: OutputStream, data: Buffer): void {
    if (data.length === 0) return;
    const last = this.#pieces.at(-1);
    if (last?.stream === stream && last.data.length + data.length <= mergedMaxBytes)
      last.data = Buffer.concat([last.data, data]);
    else this.#pieces.push({ stream, at: this.#end, data });
    this.#end += data.length;
    this.#bytes[stream] += data.length;
    this.#trim();
  }

  /** `at`: what the reader has already; undefined: nothing, and it wants no more than is kept. */
  attach(at: number | undefined): Reader {
    const reader = { at: Math.min(at ?? this.#start, this.#end) };
    this.#readers.add(reader);
    return reader;
  }

  detach(reader: Reader): void {
    this.#readers.delete(reader);
    this.#trim();
  }

  /** Undefined when the reader has everything. Its place moves on. */
  take(reader: Reader): Taken | undefined {
    if (reader.at >= this.#end) return undefined;
    if (reader.at < this.#start) {
      const bytes = this.#start - reader.at;
      reader.at = this.#start;
      return { kind: 'skipped', bytes };
    }
    const piece = this.#pieceAt(reader.at);
    const from = reader.at - piece.at;
    const data = piece.data.subarray(from, from + limits.dataChunkBytes);
    reader.at += data.length;
    return { kind: piece.stream, data };
  }

  /** Keeps nothing any more, but for attached readers. */
  forget(): void {
    this.#trim(0);
  }

  #slowest(): number {
    let slowest = this.#end;
    for (const { at } of this.#readers) slowest = Math.min(slowest, at);
    return slowest;
  }

  #trim(keepBytes: number = limits.execBacklogBytes): void {
    const slowest = this.#slowest();
    let gone = 0;
    for (const { at, data } of this.#pieces) {
      const isOld = at + data.length <= this.#end - keepBytes || this.#pieces.length - gone > piecesMax;
      if (!isOld || at + data.length > slowest) break;
      gone += 1;
    }
    if (gone > 0) this.#pieces.splice(0, gone);
    this.#start = this.#pieces[0]?.at ?? this.#end;
  }

  #pieceAt(place: number): Piece {
    let low = 0;
    let high = this.#pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#pieces[middle]?.at ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    const piece = this.#pieces[low];
    if (piece === undefined) throw new RangeError(`nothing is kept at ${place}`);
    return piece;
  }
}
