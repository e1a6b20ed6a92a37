import { createHash } from 'node:crypto';
import { limits } from '../../kernel/limits.ts';
import { badArchive } from './bad-archive.ts';

/**
 * The last entry of a box archive: a line for each regular file before it, in the archive's order, as `sha256sum` writes
 * and checks them.
 */
export const checksumsPath = 'SHA256SUMS';

/** Where the lines are kept until the last file is known; there may be more of them than memory should hold. */
export interface ChecksumList {
  add(line: Buffer): Promise<void>;
  readonly sizeBytes: number;
  lines(): AsyncIterable<Buffer>;
}

const escaped: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' };

export const checksumLine = (path: string, digest: Buffer): Buffer => {
  const name = path.replace(/[\\\n\r]/g, (character) => escaped[character] ?? character);
  return Buffer.from(`${name === path ? '' : '\\'}${digest.toString('hex')}  ${name}\n`);
};

const digestBytes = 32;
const lineMaxBytes = 2 * (limits.pathMaxBytes + 2 * digestBytes);
const linePattern = /^\\?([0-9a-f]{64}) {2}(.+)$/s;

/** What the files of an archive that is being read came to, to be held against its own list: 32 bytes of memory a file. */
export class ChecksumCheck {
  readonly #digests: Buffer[] = [];
  readonly #expected = createHash('sha256');

  add(path: string, digest: Buffer): void {
    this.#digests.push(digest);
    this.#expected.update(checksumLine(path, digest));
  }

  /** Throws `InvalidArgument`, at the file whose checksum it is if it can be told, unless the list is exactly ours. */
  async verify(list: AsyncIterable<Buffer>): Promise<void> {
    const found = createHash('sha256');
    let lines = 0;
    for await (const line of linesOf(list)) {
      found.update(line);
      const [, digest = '', name = ''] = linePattern.exec(line.toString().replace(/\n$/, '')) ?? [];
      if (digest === '') throw badArchive(checksumsPath, `line ${lines + 1} has no checksum`);
      const file = this.#digests[lines];
      if (file === undefined) throw badArchive(name, 'it has a checksum, but is not there');
      if (file.toString('hex') !== digest)
        throw badArchive(name, 'its content is not what its checksum says');
      lines += 1;
    }
    if (lines < this.#digests.length)
      throw badArchive(checksumsPath, `${this.#digests.length - lines} files have no checksum`);
    if (!found.digest().equals(this.#expected.digest()))
      throw badArchive(checksumsPath, 'its names are not those of the files');
  }
}

/** Each with its line feed. */
async function* linesOf(list: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of list) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
    }
    if (rest.length > lineMaxBytes) throw badArchive(checksumsPath, 'a line is too long');
  }
  if (rest.length > 0) yield rest;
}
