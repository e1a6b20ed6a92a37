import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

const chunkBytes = 1024 * 1024;
/** The first bytes of a gzip file (RFC 1952). */
const gzipMagic = Buffer.from([0x1f, 0x8b]);

/**
 * What an export file holds, compressed or not, a chunk at a time: however much a small file unpacks to, no more of it is
 * held. `onRead` is told of the file's own bytes.
 */
export async function* exportBytes(file: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const isCompressed = (await firstBytes(file, gzipMagic.length)).equals(gzipMagic);
  const stored = createReadStream(file, { highWaterMark: chunkBytes });
  stored.on('data', (chunk) => onRead(chunk.length));
  const plain = isCompressed
    ? pipeline(stored, createGunzip({ chunkSize: chunkBytes }), () => undefined) // its reader is told of the error
    : stored;
  yield* plain as AsyncIterable<Buffer>;
}

const firstBytes = async (file: string, count: number): Promise<Buffer> => {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(count), 0, count, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
};
