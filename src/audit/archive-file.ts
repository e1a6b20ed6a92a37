import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const gzipLevel = 6;

/**
 * Writes an export compressed: whole, and on the disk, or not at all. What an earlier try has left behind is overwritten.
 */
export const writeArchive = async (
  file: string,
  texts: AsyncIterable<string>,
  signal: AbortSignal,
): Promise<void> => {
  const draft = `${file}.tmp`;
  try {
    await pipeline(
      Readable.from(texts, { objectMode: true }),
      createGzip({ level: gzipLevel }),
      createWriteStream(draft, { mode: 0o600, flush: true }),
      { signal },
    );
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await rename(draft, file);
  await flushDirectory(dirname(file));
};

/** A new name is on the disk only when its directory is. */
const flushDirectory = async (directory: string): Promise<void> => {
  const handle = await open(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Of the file as it is on the disk, hexadecimal. */
export const sha256Of = async (file: string): Promise<string> => {
  const digest = createHash('sha256');
  await pipeline(createReadStream(file), digest);
  return digest.digest('hex');
};
