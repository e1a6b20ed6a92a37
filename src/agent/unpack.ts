import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { Parser, type ReadEntry } from 'tar';
import { BoxledgerError } from '../kernel/errors.ts';
import type { Staging } from './staging.ts';
import { checkSymlink, partsOfEntry, refusedEntry } from './transfer-paths.ts';

/**
 * Reads a tar archive piece by piece and stages its entries one after the other, so that no more than a few pieces are
 * in memory. Only the reading is the library's: what is written where is decided here. Returns the bytes of content.
 */
export const unpack = async (archive: AsyncIterable<Uint8Array>, staging: Staging): Promise<number> => {
  const parser = new Parser({ maxDecompressionRatio: 0 }); // no ratio is allowed: the archive is not compressed
  const stop = new AbortController();
  const fail = (error: unknown) => stop.abort(error);
  let bytes = 0;
  let placed: Promise<unknown> = Promise.resolve();
  parser.on('entry', (entry: ReadEntry) => {
    placed = placed
      .then(() => place(entry, staging, stop.signal))
      .then((size) => {
        bytes += size;
      }, fail);
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
    return bytes;
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

/** Returns the entry's size in bytes. */
const place = async (entry: ReadEntry, staging: Staging, signal: AbortSignal): Promise<number> => {
  signal.throwIfAborted();
  const parts = partsOfEntry(entry.path);
  const attributes = { mode: entry.mode ?? 0o644, modifiedAt: entry.mtime ?? new Date() };
  switch (entry.type) {
    case 'File':
    case 'OldFile':
    case 'ContiguousFile':
      // not by the entry's own iterator: that one cannot be ended from outside
      await staging.addFile(parts, attributes, entry.pipe(new PassThrough({ signal })));
      break;
    case 'Directory':
      await staging.addDirectory(parts, attributes);
      break;
    case 'SymbolicLink':
      checkSymlink(entry.path, parts, entry.linkpath ?? '');
      await staging.addSymlink(parts, entry.linkpath ?? '');
      break;
    case 'Link':
      await staging.addLink(parts, partsOfEntry(entry.linkpath ?? ''));
      break;
    default:
      throw refusedEntry(entry.path, `its type is ${entry.type}`);
  }
  entry.resume();
  return entry.size;
};

const damaged = (cause: string | Error) =>
  new BoxledgerError(
    'InvalidArgument',
    `the archive cannot be read: ${cause instanceof Error ? cause.message : cause}`,
    {
      faults: [{ field: 'tar', problem: 'must be a whole, uncompressed tar archive' }],
      cause,
    },
  );
