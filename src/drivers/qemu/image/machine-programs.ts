import { type SystemCall, syscallProgram } from './syscall-program.ts';

/*
 * What makes a machine the one of its box, in one process: a machine under an emulator takes tens of milliseconds to start
 * each. Standard input: seconds and nanoseconds since 1970, 8 bytes each, little-endian, and for `configure` 64 random bytes.
 */

const [timeAt, poolAt, seedAt, seedBytes] = [0, 16, 24, 64] as const;
/** `struct rand_pool_info`: bits of entropy, and bytes that follow. */
const memory = Buffer.alloc(seedAt);
memory.writeUInt32LE(seedBytes * 8, poolAt);
memory.writeUInt32LE(seedBytes, poolAt + 4);

const setClock: readonly SystemCall[] = [
  { call: 'read', args: [0, { memory: timeAt }, 16], returns: [16] },
  { call: 'clockSetTime', args: [0, { memory: timeAt }] },
];

const [addEntropy, reseed] = [0x40085203, 0x5207];
const [writeOnly, nextFile] = [1, 3];

/** random(4): credits the bytes to the kernel's pool, and has the generator's key drawn anew at once. */
const seedKernel: readonly SystemCall[] = [
  { call: 'read', args: [0, { memory: seedAt }, seedBytes], returns: [seedBytes] },
  { call: 'open', args: ['/dev/urandom', writeOnly], returns: [nextFile] },
  { call: 'ioctl', args: [nextFile, addEntropy, { memory: poolAt }] },
  { call: 'ioctl', args: [nextFile, reseed, 0] },
];

const [noAccessTimes, move, detach] = [1024, 8192, 2] as const;
const there = -17; // EEXIST
const base = '/.boxledger';
const root = `${base}/root`;
const layers = `lowerdir=${base}/image,upperdir=${base}/disk/upper,workdir=${base}/disk/work`;

const moveInto = (point: string, target = `${root}/${point}`): SystemCall => ({
  call: 'mount',
  args: [point.startsWith('/') ? point : `/${point}`, target, '', move, ''],
});
const makeDirectory = (path: string): SystemCall => ({
  call: 'mkdir',
  args: [path, 0o755],
  returns: [0, there],
});

/** The box's own disk is put above the image, and becomes the root of everything that runs. Done already: nothing. */
const attachDisk: readonly SystemCall[] = [
  { call: 'access', args: ['/run/boxledger/disk', 0], endAt: 0, returns: [-2] },
  { call: 'mount', args: ['/dev/vdb', `${base}/disk`, 'ext4', noAccessTimes, 'noinit_itable'] },
  makeDirectory(`${base}/disk/upper`),
  makeDirectory(`${base}/disk/work`),
  { call: 'mount', args: ['box', root, 'overlay', noAccessTimes, layers] },
  ...['proc', 'sys', 'dev', 'run', 'tmp'].map((point) => moveInto(point)),
  makeDirectory(`${root}/run/boxledger`),
  makeDirectory(`${root}/run/boxledger/disk`),
  moveInto(`${base}/disk`, `${root}/run/boxledger/disk`),
  { call: 'chdir', args: [root] },
  { call: 'pivotRoot', args: ['.', '.boxledger/old'] },
  { call: 'chdir', args: ['/'] },
  { call: 'umount', args: ['/.boxledger/old', detach] },
];

/** By name: programs of the machine. */
export const machinePrograms: Readonly<Record<string, Buffer>> = {
  'set-clock': syscallProgram(setClock),
  configure: syscallProgram([...setClock, ...seedKernel, ...attachDisk], memory),
};
