import { leafHash } from './merkle.ts';
import type { Place } from './place.ts';

/** Bytes of one leaf's input: transaction id and position as big-endian 64-bit numbers, then the event's hash. */
export const leafBytes = 48;

/** What of an event a checkpoint signs: its place in the global order, and the hash of all the rest. */
export interface LeafEntry extends Place {
  readonly hash: string;
}

/** Writes the leaf's input into `target` at `offset`. */
export const writeLeaf = (
  target: Buffer,
  offset: number,
  { transactionId, position, hash }: LeafEntry,
): void => {
  writeNumber(target, offset, transactionId);
  writeNumber(target, offset + 8, position);
  target.fill(0, offset + 16, offset + leafBytes);
  target.write(hash, offset + 16, 32, 'hex');
};

const writeNumber = (target: Buffer, offset: number, text: string) => {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) {
    target.writeUInt32BE(Math.floor(number / 0x1_0000_0000), offset);
    target.writeUInt32BE(number % 0x1_0000_0000, offset + 4);
  } else target.writeBigUInt64BE(BigInt.asUintN(64, BigInt(text)), offset);
};

const scratch = Buffer.alloc(leafBytes);

export const leafHashOf = (entry: LeafEntry): string => {
  writeLeaf(scratch, 0, entry);
  return leafHash(scratch);
};

/** The entries that a checkpoint's list of leaf inputs holds, in their order. */
export function* leafEntries(inputs: Uint8Array): Generator<LeafEntry> {
  const bytes = Buffer.from(inputs.buffer, inputs.byteOffset, inputs.length);
  for (let at = 0; at + leafBytes <= bytes.length; at += leafBytes)
    yield {
      transactionId: bytes.readBigUInt64BE(at).toString(),
      position: bytes.readBigUInt64BE(at + 8).toString(),
      hash: bytes.toString('hex', at + 16, at + leafBytes),
    };
}
