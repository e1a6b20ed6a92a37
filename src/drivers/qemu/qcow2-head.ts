/** What is looked at of a qcow2 file (QEMU's docs/interop/qcow2.txt), before QEMU opens it. */
export const headBytes = 104;

const magic = 0x514649fb;
const clusterBitsMin = 9;
const clusterBitsMax = 21;

/** Why a file that begins like this is not to be opened; undefined: nothing is wrong with it. */
export const problemOfQcow2 = (head: Buffer, maxBytes: number): string | undefined => {
  if (head.readUInt32BE(0) !== magic || head.readUInt32BE(4) !== 3) return 'it is no qcow2 file of version 3';
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0) return 'it names another file below it';
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < clusterBitsMin || clusterBits > clusterBitsMax)
    return 'its clusters have a size that none can have';
  if (head.readBigUInt64BE(24) > BigInt(maxBytes)) return `it is larger than ${maxBytes} bytes`;
  if (head.readUInt32BE(32) !== 0) return 'it is encrypted';
  if (head.readUInt32BE(60) !== 0) return 'it has snapshots of its own';
  // Dirty, corrupt, with data elsewhere, compressed in another way, with extended tables: none that we write is.
  if (head.readBigUInt64BE(72) !== 0n) return 'it has features that no exported disk has';
  return undefined;
};
