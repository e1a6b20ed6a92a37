import { open } from 'node:fs/promises';
import { errnoOf } from '../../kernel/errno.ts';

/** Last output from the given files, the latest first, as text of at most `maxBytes` bytes that is safe to print. */
export const consoleTail = async (paths: readonly string[], maxBytes: number): Promise<string> => {
  let tail = Buffer.alloc(0);
  for (const path of paths) {
    if (tail.length < maxBytes) tail = Buffer.concat([await lastBytes(path, maxBytes - tail.length), tail]);
  }
  return lastOfText(visible(tail.toString('utf8')), maxBytes);
};

/** What would move the cursor, colour or reorder text becomes an escape; line feeds and tabs stay. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, (character) => {
    if (character === '\n' || character === '\t') return character;
    const point = character.codePointAt(0) ?? 0;
    return point < 0x100 ? `\\x${point.toString(16).padStart(2, '0')}` : `\\u{${point.toString(16)}}`;
  });

const lastOfText = (text: string, maxBytes: number): string => {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let from = bytes.length - maxBytes;
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1; // not in the middle of a character
  return bytes.subarray(from).toString('utf8');
};

const lastBytes = async (path: string, count: number): Promise<Buffer> => {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const length = Math.min(size, count);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
};
