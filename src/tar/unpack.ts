import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { Parser, type ReadEntry } from 'tar';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import type { Destination } from './destination.ts';
import { checkSymlink, partsOfEntry, refusedEntry } from './entry-paths.ts';
import { Staging, type StagingOptions } from './staging.ts';
import type { Transferred } from './transferred.ts';

export interface UnpackOptions extends StagingOptions {
  /** False refuses directories, and whatever lies in one. */
  readonly recursive: boolean;
  readonly keepOwners: boolean;
  readonly bytesMax?: number | undefined;
}

/**
 * Reads a tar archive piece by piece and puts it at its destination: all of it, once it has ended well, or nothing. No
 * more than a few pieces are in memory. Throws the error of an archive that breaks; else `InvalidArgument` when it is
 * damaged, ends early, or an entry would leave the destination, `AlreadyExists`, `NotFound`, `ResourceExhausted` and what
 * the file system says.
 */
export const unpack = async (
  archive: AsyncIterable<Uint8Array>,
  destination: Destination,
  options: UnpackOptions,
): Promise<Transferred> => {
  const staging = new Staging(destination.root, options);
  try {
    await staging.begin();
    const bytes = await stage(archive, new Placing(staging, destination, options));
    return { entries: await staging.commit(), bytes };
  } catch (error) {
    await staging.rollback();
    throw error;
  }
};

/** Only the reading is the library's: what is written where is decided here. Returns the bytes of content. */
const stage = async (archive: AsyncIterable<Uint8Array>, placing: Placing): Promise<number> => {
  const parser = new Parser({ maxDecompressionRatio: 0 }); // no ratio is allowed: the archive is not compressed
  const stop = new AbortController();
  const fail = (error: unknown) => stop.abort(error);
  let placed: Promise<unknown> = Promise.resolve();
  parser.on('entry', (entry: ReadEntry) => {
    placed = placed.then(() => placing.put(entry, stop.signal)).catch(fail);
  });
  parser.on('ignoredEntry', (entry: ReadEntry) =>
    fail(refusedEntry(entry.path, `its type is ${entry.type}`)),
  );
  let complete = false;
  parser.on('eof', () => {
    complete = true;
  });
  parser.on('warn', (_code: string, message: string | Error) => {
    if (!complete) fail(damaged(message)); // after its end mark it only complains that there was nothing in it
  });
  parser.on('error', (error: Error) => fail(damaged(error)));

  try {
    for await (const chunk of archive) {
      stop.signal.throwIfAborted();
      if (!written(parser, chunk)) await once(parser, 'drain', { signal: stop.signal });
    }
    const ended = once(parser, 'end', { signal: stop.signal });
    parser.end();
    await ended;
    await placed;
    stop.signal.throwIfAborted();
    if (!complete) throw damaged('it ends before its end mark');
    return placing.bytes;
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    fail(undefined); // an entry that is still being written ends before anything is cleaned up
    await placed;
  }
};

/** False when the parser wants a rest. */
const written = (parser: Parser, chunk: Uint8Array): boolean => {
  try {
    return parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  } catch (error) {
    throw damaged(error instanceof Error ? error : String(error)); // compressed in a way that this Node cannot undo
  }
};

/** Brings one entry after the other to where it belongs. */
class Placing {
  readonly #staging: Staging;
  readonly #destination: Destination;
  readonly #options: UnpackOptions;
  bytes = 0;

  constructor(staging: Staging, destination: Destination, options: UnpackOptions) {
    this.#staging = staging;
    this.#destination = destination;
    this.#options = options;
  }

  async put(entry: ReadEntry, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#count(entry);
    const inArchive = partsOfEntry(entry.path);
    const isDirectory = entry.type === 'Directory';
    if (!this.#options.recursive && (inArchive.length > 1 || (isDirectory && inArchive.length > 0)))
      throw refusedEntry(entry.path, 'it is a directory or lies in one, and none is to be copied');
    const { parts, depth } = this.#destination.locate(inArchive, isDirectory);
    const attributes = this.#attributesOf(entry);
    const target = entry.linkpath ?? '';
    switch (entry.type) {
      case 'File':
      case 'OldFile':
      case 'ContiguousFile':
        // not by the entry's own iterator: that one cannot be ended from outside
        await this.#staging.addFile(parts, attributes, entry.pipe(new PassThrough({ signal })));
        break;
      case 'Directory':
        await this.#staging.addDirectory(parts, attributes);
        break;
      case 'SymbolicLink':
        checkSymlink(entry.path, depth, target);
        await this.#staging.addSymlink(parts, attributes, target);
        break;
      case 'Link':
        await this.#staging.addLink(parts, this.#destination.locate(partsOfEntry(target), false).parts);
        break;
      default:
        throw refusedEntry(entry.path, `its type is ${entry.type}`);
    }
    entry.resume();
  }

  /** What an entry says of its size is believed before any of it is written: it gets no more than that. */
  #count({ size }: ReadEntry): void {
    const { bytesMax = limits.copyBytesMax } = this.#options;
    this.bytes += size;
    if (this.bytes > bytesMax)
      throw new BoxledgerError('ResourceExhausted', `the archive holds more than ${bytesMax} bytes`, {
        help: 'Nothing was unpacked. Copy it in parts.',
        details: { bytesMax },
      });
  }

  #attributesOf({ mode = 0o644, mtime, uid, gid }: ReadEntry) {
    const owner =
      uid === undefined || gid === undefined || !this.#options.keepOwners ? undefined : { uid, gid };
    return { mode, modifiedAt: mtime ?? new Date(), owner };
  }
}

const damaged = (cause: string | Error) =>
  new BoxledgerError(
    'InvalidArgument',
    `the archive cannot be read: ${cause instanceof Error ? cause.message : cause}`,
    {
      faults: [{ field: 'tar', problem: 'must be a whole, uncompressed tar archive' }],
      cause,
    },
  );
