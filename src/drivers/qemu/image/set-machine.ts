/*
 * A program of the machine that does what neither Node nor busybox can: it sets the clock to the nanosecond, and credits
 * random bytes to the kernel and has it draw its generator's key anew at once (random(4): RNDADDENTROPY, RNDRESEEDCRNG).
 * Standard input: seconds and nanoseconds since 1970, 8 bytes each, little-endian; then 64 random bytes, or nothing. It
 * ends with 1 when any of it fails. Its instructions, for x86-64 Linux:
 *
 *     _start: sub   rsp, 256
 *             read(0, rsp, 16)                                       fails unless it gives 16
 *             clock_settime(CLOCK_REALTIME, rsp)                     fails unless it gives 0
 *             read(0, rsp + 24, 64)                                  ends well at 0; fails unless it gives 64
 *             mov   dword [rsp + 16], 512                            bits of entropy
 *             mov   dword [rsp + 20], 64                             bytes that follow
 *             ebx = open("/dev/urandom", O_WRONLY)                   fails below 0
 *             ioctl(ebx, 0x40085203 RNDADDENTROPY, rsp + 16)         fails unless it gives 0
 *             ioctl(ebx, 0x5207 RNDRESEEDCRNG, 0)                    fails unless it gives 0
 *             exit(0), or exit(1) where it failed
 */
const instructions =
  '4881ec0001000031ff4889e6ba1000000031c00f054883f8100f858300000031ff4889e6b8e30000000f0585c0757331ff488d742418ba40' +
  '00000031c00f054885c0745a4883f8407558c744241000020000c744241440000000488d3d4d000000be01000000b8020000000f0585c078' +
  '3189c389c7be03520840488d542410b8100000000f0585c0751889dfbe0752000031d2b8100000000f0585c0750431ffeb05bf01000000b8' +
  '3c0000000f052f6465762f7572616e646f6d00';

const loadAddress = 0x400000;
const elfHeaderBytes = 64;
const programHeaderBytes = 56;
const x8664 = 62;

/** An ELF file of one segment (elf(5)). */
export const setMachineProgram = (): Buffer => {
  const code = Buffer.from(instructions, 'hex');
  const start = elfHeaderBytes + programHeaderBytes;
  const head = Buffer.alloc(start);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(2, 16); // an executable
  head.writeUInt16LE(x8664, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(loadAddress + start), 24); // entry
  head.writeBigUInt64LE(BigInt(elfHeaderBytes), 32); // program headers
  head.writeUInt16LE(elfHeaderBytes, 52);
  head.writeUInt16LE(programHeaderBytes, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, elfHeaderBytes); // to be loaded
  head.writeUInt32LE(5, elfHeaderBytes + 4); // read and execute
  head.writeBigUInt64LE(BigInt(loadAddress), elfHeaderBytes + 16);
  head.writeBigUInt64LE(BigInt(loadAddress), elfHeaderBytes + 24);
  for (const at of [32, 40]) head.writeBigUInt64LE(BigInt(start + code.length), elfHeaderBytes + at);
  head.writeBigUInt64LE(0x1000n, elfHeaderBytes + 48);
  return Buffer.concat([head, code]);
};
