import { type FileHandle, open } from 'node:fs/promises';
import type { ChecksumList } from '../box-archive/checksums.ts';

/** A list of checksums that is kept in a file meanwhile: a million of them may be more than memory should hold. */
export class ChecksumFile implements ChecksumList {
  readonly #file: FileHandle;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sizeBytes = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<ChecksumFile> {
    return new ChecksumFile(await open(path, 'wx+', 0o600));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async add(line: Buffer): Promise<void> {
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#sizeBytes += line.length;
    if (this.#waitingBytes >= chunkBytes) await this.#write();
  }

  async *lines(): AsyncGenerator<Buffer> {
    await this.#write();
    for (let at = 0; at < this.#sizeBytes; ) {
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, at);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #write(): Promise<void> {
    const lines = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (lines.length > 0) await this.#file.appendFile(lines);
  }
}

const chunkBytes = 256 * 1024;
