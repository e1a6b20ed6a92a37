import { type FileHandle, open } from 'node:fs/promises';

const zeros = Buffer.alloc(64 * 1024);

/**
 * A new file with this content, which is never whole in memory. Zeros are not written but left out, so that a sparse file
 * takes no more room than where it came from. Throws EEXIST when there is something already.
 */
export const writeSparsely = async (path: string, content: AsyncIterable<Uint8Array>): Promise<void> => {
  const file = await open(path, 'wx', 0o600);
  try {
    let size = 0;
    let isHoleAtEnd = false;
    for await (const chunk of content)
      for (let at = 0; at < chunk.length; at += zeros.length) {
        const piece = chunk.subarray(at, at + zeros.length);
        isHoleAtEnd = zeros.compare(piece, 0, piece.length, 0, piece.length) === 0;
        if (!isHoleAtEnd) await writeAll(file, piece, size);
        size += piece.length;
      }
    if (isHoleAtEnd) await file.truncate(size);
  } finally {
    await file.close();
  }
};

const writeAll = async (file: FileHandle, piece: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < piece.length; )
    done += (await file.write(piece, done, piece.length - done, position + done)).bytesWritten;
};
