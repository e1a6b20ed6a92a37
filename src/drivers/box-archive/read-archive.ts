import { createHash } from 'node:crypto';
import { limits } from '../../kernel/limits.ts';
import { unlessAborted } from '../../kernel/unless-aborted.ts';
import { badArchive } from './bad-archive.ts';
import { ByteReader } from './byte-reader.ts';
import { ChecksumCheck, checksumsPath } from './checksums.ts';
import { DepthFirst, problemOf } from './depth-first.ts';
import { decompressed } from './frames.ts';
import { type ArchiveManifest, manifestPath, parseManifest, refuseOversize } from './manifest.ts';
import { decodeBlock, type EntryHead, parseRecords, tarBlockBytes } from './tar-head.ts';

/** Where the entries of an archive go. What it made has to stay out of sight until the reading has come to its end. */
export interface ArchiveSink {
  begin(manifest: ArchiveManifest): Promise<void> | void;
  /**
   * `disk` first. Paths are clean, in order, and below directories that came before; whether a link's target is one of
   * the archive's files, and whether two names are one to the file system, is for the sink to find out. It reads a
   * file's content to the end, or throws.
   */
  entry(entry: EntryHead, content: AsyncIterable<Buffer>): Promise<void>;
}

export interface ReadOptions {
  /** What the disk may come to at most. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

export interface ArchiveFigures {
  readonly manifest: ArchiveManifest;
  readonly archiveBytes: number;
  /** Of the archive itself, in hexadecimal. */
  readonly sha256: string;
}

/** Reads a box archive to its last byte. Throws `InvalidArgument`, at the entry, for whatever is not as it should be. */
export const readArchive = async (
  archive: AsyncIterable<Uint8Array>,
  options: ReadOptions,
  sink: ArchiveSink,
): Promise<ArchiveFigures> => {
  const hash = createHash('sha256');
  let archiveBytes = 0;
  const counted = async function* () {
    for await (const chunk of untilAborted(archive, options.signal)) {
      hash.update(chunk);
      archiveBytes += chunk.length;
      options.onBytes?.(archiveBytes);
      yield chunk;
    }
  };
  const compressedBytes = new ByteReader(counted());
  try {
    const manifest = await new ArchiveReading(decompressed(compressedBytes), sink, options.maxBytes).run();
    return { manifest, archiveBytes, sha256: hash.digest('hex') };
  } finally {
    await compressedBytes.close();
  }
};

class ArchiveReading {
  readonly #tar: ByteReader;
  readonly #sink: ArchiveSink;
  readonly #maxBytes: number;
  readonly #checksums = new ChecksumCheck();

  constructor(tar: AsyncIterable<Buffer>, sink: ArchiveSink, maxBytes: number) {
    this.#tar = new ByteReader(tar);
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  async run(): Promise<ArchiveManifest> {
    const manifest = await this.#manifest();
    await this.#sink.begin(manifest);
    await this.#disk(manifest);
    // The list itself has been read by now: only the end may follow.
    const end = await this.#tar.exactly(2 * tarBlockBytes);
    if (end.some((byte) => byte !== 0) || !(await this.#tar.atEnd()))
      throw badArchive(checksumsPath, 'something comes after it');
    return manifest;
  }

  async #manifest(): Promise<ArchiveManifest> {
    const head = await this.#head();
    if (head?.path !== manifestPath || head.kind !== 'file')
      throw badArchive(head?.path, `an archive begins with ${manifestPath}`);
    if (head.sizeBytes > limits.boxArchiveManifestMaxBytes) throw badArchive(manifestPath, 'it is too long');
    const chunks: Buffer[] = [];
    for await (const chunk of this.#content(head)) chunks.push(Buffer.from(chunk));
    const manifest = parseManifest(Buffer.concat(chunks));
    refuseOversize(manifest.disk, this.#maxBytes);
    return manifest;
  }

  /** Everything from `disk/` to the checksums. */
  async #disk({ disk }: ArchiveManifest): Promise<void> {
    const order = new DepthFirst('disk');
    let [entries, bytes] = [0, 0];
    for (;;) {
      const head = await this.#head();
      if (head === undefined) throw badArchive(checksumsPath, 'the archive ends without it');
      if (head.path === checksumsPath && head.kind === 'file') {
        if (entries !== disk.entries || bytes !== disk.bytes)
          throw badArchive(
            checksumsPath,
            `it comes after ${entries} entries and ${bytes} bytes, not ${disk.entries} and ${disk.bytes}`,
          );
        return this.#checksums.verify(this.#bytes(head.sizeBytes));
      }
      order.accept(head.path, head.kind === 'directory');
      entries += 1;
      bytes += head.sizeBytes;
      if (entries > disk.entries || bytes > disk.bytes)
        throw badArchive(head.path, 'it is beyond what the manifest declares');
      refuseBadTarget(head);
      await this.#sink.entry(head, head.kind === 'file' ? this.#content(head) : nothing());
    }
  }

  async #head(): Promise<EntryHead | undefined> {
    const first = decodeBlock(await this.#tar.exactly(tarBlockBytes), new Map());
    if (first?.kind !== 'extended') return first;
    if (first.sizeBytes > recordsMaxBytes) throw badArchive('pax', 'an extended header is too long');
    const records = parseRecords(await this.#tar.exactly(first.sizeBytes));
    await this.#tar.exactly(-first.sizeBytes & (tarBlockBytes - 1));
    const head = decodeBlock(await this.#tar.exactly(tarBlockBytes), records);
    if (head === undefined || head.kind === 'extended')
      throw badArchive('pax', 'an extended header belongs to no entry');
    return head;
  }

  async *#content(head: EntryHead): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of this.#bytes(head.sizeBytes)) {
      hash.update(chunk);
      yield chunk;
    }
    this.#checksums.add(head.path, hash.digest());
  }

  async *#bytes(sizeBytes: number): AsyncGenerator<Buffer> {
    for (let left = sizeBytes; left > 0; ) {
      const chunk = await this.#tar.some(left);
      left -= chunk.length;
      yield chunk;
    }
    await this.#tar.exactly(-sizeBytes & (tarBlockBytes - 1));
  }
}

const recordsMaxBytes = 4 * limits.pathMaxBytes;

const refuseBadTarget = ({ path, kind, target }: EntryHead): void => {
  if (
    kind === 'symlink' &&
    (target === '' || target.includes('\0') || Buffer.byteLength(target) > limits.pathMaxBytes)
  )
    throw badArchive(path, 'it leads nowhere that could be');
  if (kind !== 'link') return;
  const problem = problemOf(target) ?? (target.startsWith('disk/') ? undefined : 'it is not below disk/');
  if (problem !== undefined)
    throw badArchive(path, `it is another name of ${JSON.stringify(target)}: ${problem}`);
};

async function* nothing(): AsyncGenerator<Buffer> {
  // files alone have content
}

/** Ends with the signal's reason also when the source has fallen silent. */
async function* untilAborted(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      signal.throwIfAborted();
      // One promise that outlives the chunks would keep all of them: a race leaves its reaction on each of its promises.
      const { done, value } = await unlessAborted(iterator.next(), signal);
      if (done === true) return;
      yield value;
    }
  } finally {
    void iterator.return?.().then(undefined, () => undefined); // it may be silent; nothing more is wanted of it
  }
}
