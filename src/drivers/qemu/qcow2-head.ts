import { open } from 'node:fs/promises';

/** What is looked at of a qcow2 file (QEMU's docs/interop/qcow2.txt), before QEMU opens it. */
const headBytes = 104;
const magic = 0x514649fb;
const clusterBitsMin = 9;
const clusterBitsMax = 21;

export interface Qcow2Rules {
  readonly maxBytes: number;
  /** Name of the file that it has to stand on; null: none. */
  readonly below: string | null;
}

/** What the disk in it comes to, or why the file is not to be opened. */
export const lookAtQcow2 = async (
  path: string,
  { maxBytes, below }: Qcow2Rules,
): Promise<{ readonly bytes: number } | { readonly problem: string }> => {
  const file = await open(path, 'r');
  try {
    const read = async (at: number, length: number) => {
      const bytes = Buffer.alloc(length);
      await file.read(bytes, 0, length, at);
      return bytes;
    };
    const head = await read(0, headBytes);
    if (head.readUInt32BE(0) !== magic || head.readUInt32BE(4) !== 3)
      return { problem: 'it is no qcow2 file of version 3' };
    const [nameAt, nameBytes] = [Number(head.readBigUInt64BE(8)), head.readUInt32BE(16)];
    const named = nameAt === 0 ? null : (await read(nameAt, Math.min(nameBytes, nameMaxBytes))).toString();
    if (named !== below)
      return { problem: below === null ? 'it names another file below it' : `it does not stand on ${below}` };
    const bytes = head.readBigUInt64BE(24);
    const problem = problemOf(head, bytes, maxBytes);
    return problem === undefined ? { bytes: Number(bytes) } : { problem };
  } finally {
    await file.close();
  }
};

const nameMaxBytes = 1_023;

const problemOf = (head: Buffer, bytes: bigint, maxBytes: number): string | undefined => {
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < clusterBitsMin || clusterBits > clusterBitsMax)
    return 'its clusters have a size that none can have';
  if (bytes > BigInt(maxBytes)) return `it is larger than ${maxBytes} bytes`;
  if (head.readUInt32BE(32) !== 0) return 'it is encrypted';
  if (head.readUInt32BE(60) !== 0) return 'it has snapshots of its own';
  // Dirty, corrupt, with data elsewhere, compressed in another way, with extended tables: none that we write is.
  return head.readBigUInt64BE(72) === 0n ? undefined : 'it has features that no disk of ours has';
};
