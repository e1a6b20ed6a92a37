/*
 * Programs for the machine that are nothing but system calls in a row, for what neither Node nor busybox can do, or only
 * with a process for each. They are made here, for x86-64 Linux, so that building an image needs no compiler.
 */

/** Numbers of system calls (Linux's arch/x86/entry/syscalls/syscall_64.tbl). */
export const systemCalls = {
  read: 0,
  write: 1,
  open: 2,
  ioctl: 16,
  access: 21,
  chdir: 80,
  mkdir: 83,
  exit: 60,
  pivotRoot: 155,
  mount: 165,
  setHostname: 170,
  umount: 166,
  clockSetTime: 227,
} as const;

/** A number, a text's address, or an address in the program's own writable page, from its beginning. */
export type Argument = number | string | { readonly memory: number };

export interface SystemCall {
  readonly call: keyof typeof systemCalls;
  /** At most five: what `mount` has. */
  readonly args: readonly Argument[];
  /** What it may return, by default 0 alone; anything else ends the program with the call's place in the list, from 1. */
  readonly returns?: readonly number[];
  /** When it returns this, the program ends well. */
  readonly endAt?: number;
}

/** Also what a program has of writable memory. */
const pageBytes = 4096;
const loadAddress = 0x400000;
const memoryAddress = 0x600000;
const headBytes = 64 + 2 * 56;
const x8664 = 62;

/** `mov` of 64 bits to rdi, rsi, rdx, r10 and r8: where the kernel takes arguments. */
const argumentMoves = [
  [0x48, 0xbf],
  [0x48, 0xbe],
  [0x48, 0xba],
  [0x49, 0xba],
  [0x49, 0xb8],
] as const;
const syscall = Buffer.from([0x0f, 0x05]);

/** An ELF file (elf(5)) that makes the calls, with the given bytes in its memory to begin with, and ends with 0. */
export const syscallProgram = (
  calls: readonly SystemCall[],
  memory: Uint8Array = new Uint8Array(),
): Buffer => {
  const texts = [...new Set(calls.flatMap(({ args }) => args.filter((arg) => typeof arg === 'string')))];
  const encoded = (addressOf: (text: string) => number) =>
    Buffer.concat([...calls.map((call, index) => encode(call, index + 1, addressOf)), exit(0)]);
  // A text's address does not change an instruction's length.
  const textsAt = headBytes + encoded(() => 0).length;
  const offsets = new Map<string, number>();
  let end = textsAt;
  for (const text of texts) {
    offsets.set(text, end);
    end += Buffer.byteLength(text) + 1;
  }
  const code = encoded((text) => loadAddress + (offsets.get(text) ?? 0));
  const body = Buffer.from(texts.map((text) => `${text}\0`).join(''));
  const rest = Buffer.alloc(-end & (pageBytes - 1)); // a segment's address and its offset agree within a page
  return Buffer.concat([elfHead(end + rest.length, memory.length), code, body, rest, memory]);
};

const encode = (
  { call, args, returns = [0], endAt }: SystemCall,
  place: number,
  addressOf: (text: string) => number,
): Buffer => {
  const value = (arg: Argument) =>
    typeof arg === 'number' ? arg : typeof arg === 'string' ? addressOf(arg) : memoryAddress + arg.memory;
  const failure = exit(place);
  return Buffer.concat([
    ...args.map((arg, index) => move(argumentMoves[index] ?? [], value(arg))),
    move([0x48, 0xb8], systemCalls[call]),
    syscall,
    ...(endAt === undefined ? [] : [skipUnless(endAt, exit(0))]),
    ...returns.map((each, index) => {
      const others = (returns.length - 1 - index) * compareBytes;
      return jumpIf(each, others + failure.length);
    }),
    failure,
  ]);
};

const move = (operation: readonly number[], value: number): Buffer => {
  const bytes = Buffer.alloc(operation.length + 8);
  bytes.set(operation);
  bytes.writeBigInt64LE(BigInt(value), operation.length);
  return bytes;
};

const compareBytes = 12;
/** `cmp rax, value` and `je`, or `jne`, over so many bytes. */
const compare = (value: number, jump: 0x84 | 0x85, bytes: number): Buffer => {
  const code = Buffer.from([0x48, 0x3d, 0, 0, 0, 0, 0x0f, jump, 0, 0, 0, 0]);
  code.writeInt32LE(value, 2);
  code.writeInt32LE(bytes, 8);
  return code;
};
const jumpIf = (value: number, bytes: number) => compare(value, 0x84, bytes);
const skipUnless = (value: number, skipped: Buffer) =>
  Buffer.concat([compare(value, 0x85, skipped.length), skipped]);

const exit = (status: number): Buffer =>
  Buffer.concat([move(argumentMoves[0], status), move([0x48, 0xb8], systemCalls.exit), syscall]);

/** Two segments: the code, read and executed, and the memory, read and written. */
const elfHead = (codeBytes: number, initialBytes: number): Buffer => {
  const head = Buffer.alloc(headBytes);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(2, 16); // an executable
  head.writeUInt16LE(x8664, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(loadAddress + headBytes), 24); // where it begins
  head.writeBigUInt64LE(64n, 32); // segments
  head.writeUInt16LE(64, 52);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(2, 56);
  segment(head, 64, { flags: 5, offset: 0, address: loadAddress, fileBytes: codeBytes, bytes: codeBytes });
  segment(head, 120, {
    flags: 6,
    offset: codeBytes,
    address: memoryAddress,
    fileBytes: initialBytes,
    bytes: pageBytes,
  });
  return head;
};

const segment = (
  head: Buffer,
  at: number,
  {
    flags,
    offset,
    address,
    fileBytes,
    bytes,
  }: Readonly<Record<'flags' | 'offset' | 'address' | 'fileBytes' | 'bytes', number>>,
): void => {
  head.writeUInt32LE(1, at);
  head.writeUInt32LE(flags, at + 4);
  const values = [offset, address, address, fileBytes, bytes, pageBytes];
  for (const [index, value] of values.entries()) head.writeBigUInt64LE(BigInt(value), at + 8 + index * 8);
};
