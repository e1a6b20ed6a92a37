import { Decoder, Encoder } from '@toondepauw/node-zstd';
import { badArchive } from './bad-archive.ts';
import type { ByteReader } from './byte-reader.ts';

/**
 * A box archive is a row of zstd frames (RFC 8878), each of which holds 1 MiB, the last one what is left. So both sides
 * need to have no more than a few frames in memory, whatever the archive's size. Any zstd decoder reads frames in a row
 * as one stream; ours walks each frame's blocks before it lets the library at it, so that a frame cannot become more than
 * its blocks may.
 */
const frameBytes = 1 << 20;
const level = 3;
const magic = 0xfd2fb528;
/** The library's encoder makes up to 16 blocks of a frame; a block is at most 128 KiB when decoded. */
const blocksMax = 128;
const blockBytesMax = 128 * 1024;
const windowBytesMax = 8 << 20;

export async function* compressed(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const encoder = new Encoder(level);
  let before: Promise<Buffer> | undefined;
  for await (const frame of cut(bytes)) {
    // One frame is compressed, on another thread, while the next one gathers.
    const next = encoder.encode(frame);
    next.catch(() => undefined); // heard of where it is awaited
    if (before !== undefined) yield await before;
    before = next;
  }
  if (before !== undefined) yield await before;
}

async function* cut(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let frame = Buffer.allocUnsafe(frameBytes);
  let filled = 0;
  for await (const chunk of bytes)
    for (let from = 0; from < chunk.length; ) {
      const piece = chunk.subarray(from, from + frameBytes - filled);
      frame.set(piece, filled);
      from += piece.length;
      filled += piece.length;
      if (filled < frameBytes) continue;
      yield frame;
      frame = Buffer.allocUnsafe(frameBytes);
      filled = 0;
    }
  if (filled > 0) yield frame.subarray(0, filled);
}

export async function* decompressed(archive: ByteReader): AsyncGenerator<Buffer> {
  const decoder = new Decoder();
  while (!(await archive.atEnd())) {
    const frame = await readFrame(archive);
    const content = await decoder.decode(frame).catch((error: unknown) => {
      throw badArchive(undefined, `its compressed data is damaged before byte ${archive.taken}`, {
        cause: error,
      });
    });
    if (content.length > frameBytes) throw tooLarge();
    yield content;
  }
}

/** One whole frame, still compressed. */
const readFrame = async (archive: ByteReader): Promise<Buffer> => {
  const start = await archive.exactly(5);
  if (start.readUInt32LE() !== magic)
    throw badArchive(undefined, 'it is not compressed as box archives are (zstd)', {
      help: 'Give the file that an export wrote, as it is.',
    });
  const descriptor = start.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  // Reserved bit, dictionary id.
  if ((descriptor & 0x0b) !== 0) throw badArchive(undefined, 'a zstd frame of it is of an unknown kind');
  const header = await archive.exactly((singleSegment ? 0 : 1) + sizeBytes);
  if (sizeBytes === 8 || (singleSegment ? header.readUIntLE(0, sizeBytes) : window(header)) > windowBytesMax)
    throw tooLarge();
  const pieces = [start, header];
  for (let blocks = 0, last = false; !last; blocks += 1) {
    if (blocks === blocksMax) throw tooLarge();
    const blockHeader = await archive.exactly(3);
    const fields = blockHeader.readUIntLE(0, 3);
    const isRepeatedByte = ((fields >> 1) & 3) === 1;
    last = (fields & 1) !== 0;
    if (fields >> 3 > blockBytesMax) throw tooLarge();
    pieces.push(blockHeader, await archive.exactly(isRepeatedByte ? 1 : fields >> 3));
  }
  if ((descriptor & 0x04) !== 0) pieces.push(await archive.exactly(4)); // its own checksum
  return Buffer.concat(pieces);
};

/** Bytes that a decoder has to keep at hand; RFC 8878, 3.1.1.1.2. */
const window = (header: Buffer): number => {
  const base = 2 ** (10 + (header.readUInt8(0) >> 3));
  return base + (base / 8) * (header.readUInt8(0) & 7);
};

const tooLarge = () => badArchive(undefined, `a zstd frame of it holds more than ${frameBytes} bytes`);
