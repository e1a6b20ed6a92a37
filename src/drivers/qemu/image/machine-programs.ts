import { type SystemCall, syscallProgram } from './syscall-program.ts';

/*
 * What the agent has a machine do. Each waits for its input, so that it can be started before it is needed: that takes tens
 * of milliseconds under an emulator. Standard input of `set-clock`: seconds and nanoseconds since 1970, 8 bytes each,
 * little-endian; of `configure` also 64 random bytes, the hostname, filled up to 64 bytes with NUL, and the machine id with
 * its line feed; of `attach-disk`, `freeze` and `thaw`, any byte. Without any, they end.
 */

const [timeAt, poolAt, seedAt, seedBytes] = [0, 16, 24, 64] as const;
const [nameAt, nameBytes, idAt, idBytes] = [96, 64, 160, 33] as const;
/** `struct rand_pool_info`: bits of entropy, and bytes that follow. */
const memory = Buffer.alloc(seedAt);
memory.writeUInt32LE(seedBytes * 8, poolAt);
memory.writeUInt32LE(seedBytes, poolAt + 4);

const setClock: readonly SystemCall[] = [
  { call: 'read', args: [0, { memory: timeAt }, 16], returns: [16] },
  { call: 'clockSetTime', args: [0, { memory: timeAt }] },
];

const [addEntropy, reseed] = [0x40085203, 0x5207];
const [readOnly, writeOnly, writeAnew] = [0, 1, 577] as const;
/** What the first and the second file that a program opens are known by. */
const [firstFile, secondFile] = [3, 4];

/** random(4): credits the bytes to the kernel's pool, and has the generator's key drawn anew at once. */
const seedKernel: readonly SystemCall[] = [
  { call: 'read', args: [0, { memory: seedAt }, seedBytes], returns: [seedBytes] },
  { call: 'open', args: ['/dev/urandom', writeOnly], returns: [firstFile] },
  { call: 'ioctl', args: [firstFile, addEntropy, { memory: poolAt }] },
  { call: 'ioctl', args: [firstFile, reseed, 0] },
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

/** Its name, and what its machine id is to be. */
const identify: readonly SystemCall[] = [
  { call: 'read', args: [0, { memory: nameAt }, nameBytes], returns: [nameBytes] },
  { call: 'setHostname', args: [{ memory: nameAt }, nameBytes] },
  { call: 'read', args: [0, { memory: idAt }, idBytes], returns: [idBytes] },
  { call: 'open', args: ['/etc/machine-id', writeAnew, 0o444], returns: [secondFile] },
  { call: 'write', args: [secondFile, { memory: idAt }, idBytes], returns: [idBytes] },
];

const onceAsked: readonly SystemCall[] = [
  { call: 'read', args: [0, { memory: timeAt }, 1], endAt: 0, returns: [1] },
];

/** ioctl_fs(2): FIFREEZE and FITHAW, of the box's own disk. `already`: what the call returns where that is so. */
const hold = (request: number, already: number): readonly SystemCall[] => [
  ...onceAsked,
  { call: 'open', args: ['/run/boxledger/disk', readOnly], returns: [firstFile] },
  { call: 'ioctl', args: [firstFile, request, 0], returns: [0, already] },
];
const [freezeRequest, thawRequest, busy, invalid] = [0xc0045877, 0xc0045878, -16, -22] as const;

/** The box's own disk is put above the image, and becomes the root of everything that runs. Done already: nothing. */
const attachDisk: readonly SystemCall[] = [
  ...onceAsked,
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
  'attach-disk': syscallProgram(attachDisk),
  configure: syscallProgram([...setClock, ...seedKernel, ...identify], memory),
  freeze: syscallProgram(hold(freezeRequest, busy)),
  thaw: syscallProgram(hold(thawRequest, invalid)),
};
