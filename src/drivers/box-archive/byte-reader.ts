import { badArchive } from './bad-archive.ts';

/** Reads a stream of chunks in pieces of the reader's choosing; asks for no chunk before it is needed. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  #taken = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes given out so far. */
  get taken(): number {
    return this.#taken;
  }

  async atEnd(): Promise<boolean> {
    return !(await this.#fill());
  }

  /** At least one byte and at most `maxBytes`. */
  async some(maxBytes: number): Promise<Buffer> {
    if (!(await this.#fill())) throw badArchive(undefined, 'it ends too early');
    const piece = this.#rest.subarray(0, maxBytes);
    this.#rest = this.#rest.subarray(piece.length);
    this.#taken += piece.length;
    return piece;
  }

  async exactly(bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let left = bytes; left > 0; left -= pieces.at(-1)?.length ?? 0) pieces.push(await this.some(left));
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  }

  /** Says to the source that nothing more is wanted of it. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** False at the end. */
  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return true;
  }
}
