import {
  chmod,
  copyFile,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BoxledgerError } from '../../../kernel/errors.ts';
import { isThere, removeTree } from '../../supervised/files.ts';
import { runTool } from '../tools.ts';
import { guestDirectory, guestFiles, inittab, mountPoints } from './guest-files.ts';
import { machinePrograms } from './machine-programs.ts';

export const imageBases = ['busybox', 'debian'] as const;
export type ImageBase = (typeof imageBases)[number];

export interface RootInputs {
  /** Static; all of userland where there is nothing else, and what a machine comes up with in any case. */
  readonly busyboxPath: string;
  readonly nodePath: string;
  readonly agentPath: string;
  /** `busybox`: nothing else. `debian`: Debian 12 without what is not essential, fetched by debootstrap, which wants root. */
  readonly base: ImageBase;
  /** A directory or a tar archive with a root file system for boxes, in place of a base. */
  readonly from: string | undefined;
}

/** Lays out what the image's root has, in an empty directory. */
export const makeRootTree = async (tree: string, inputs: RootInputs): Promise<void> => {
  const { base, from } = inputs;
  const isBusybox = from === undefined && base === 'busybox';
  if (isBusybox) await busyboxBase(tree);
  else if (from === undefined) await debianBase(tree);
  else await takeOver(tree, from);
  for (const point of mountPoints) await mkdir(join(tree, point), { recursive: true });
  const own = join(tree, guestDirectory);
  await mkdir(join(own, 'lib'), { recursive: true });
  await refuseDynamic(inputs.busyboxPath);
  await program(inputs.busyboxPath, join(own, 'busybox'));
  await copyFile(inputs.agentPath, join(own, 'agent.cjs'));
  await chmod(join(own, 'agent.cjs'), 0o644);
  await bringNode(own, inputs.nodePath);
  for (const [name, content] of Object.entries({ ...guestFiles, ...machinePrograms })) {
    await writeFile(join(own, name), content);
    await chmod(join(own, name), 0o755);
  }
  // busybox's init reads it before it does anything else.
  await mkdir(join(tree, 'etc'), { recursive: true });
  await writeFile(join(tree, 'etc/inittab'), inittab);
  if (isBusybox) await linkApplets(tree, inputs.busyboxPath);
  // Of a root file system that was given, modes are as given, but for what was added.
  for (const path of await pathsBelow(tree))
    if (isBusybox || isOurs(path)) await setMode(join(tree, path), modes[path]);
};

const isOurs = (path: string) =>
  `/${path}/`.startsWith(`${guestDirectory}/`) || mountPoints.includes(path) || path === 'etc/inittab';

/** Those of what is not for everybody to read and, programs and directories, to execute. */
const modes: Readonly<Record<string, number>> = { root: 0o700, tmp: 0o1777, 'var/tmp': 0o1777 };

/** As it would be under any other umask. */
const setMode = async (path: string, mode: number | undefined): Promise<void> => {
  const found = await lstat(path);
  if (found.isSymbolicLink()) return;
  const isForAll = found.isDirectory() || (found.mode & 0o100) !== 0;
  await chmod(path, mode ?? (isForAll ? 0o755 : 0o644));
};

/** A machine comes up with nothing else. */
const refuseDynamic = async (busyboxPath: string): Promise<void> => {
  if (!hasInterpreter(await readFile(busyboxPath))) return;
  throw new BoxledgerError('Unsupported', `${busyboxPath} needs libraries`, {
    help: 'Install the one that needs none; on Debian: apt-get install busybox-static',
  });
};

/** Whether an ELF file of 64 bits has to be loaded by another program (elf(5): PT_INTERP). */
const hasInterpreter = (elf: Buffer): boolean => {
  const [at, bytes, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  const types = Array.from({ length: count }, (_, index) => elf.readUInt32LE(at + index * bytes));
  return types.includes(3);
};

const takeOver = async (tree: string, from: string): Promise<void> => {
  if ((await stat(from)).isDirectory())
    await cp(from, tree, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  else await runTool('tar', ['-xpf', from, '-C', tree, '--numeric-owner']);
  if (!(await isThere(join(tree, 'bin/sh'))) && !(await isThere(join(tree, 'usr/bin/sh'))))
    throw new BoxledgerError('InvalidArgument', `${from} holds no root file system: it has no /bin/sh`, {
      help: 'Give a directory or tar archive with bin, etc, usr and so on at its top.',
    });
};

const debianRelease = 'bookworm';
/** What differs each time, and what a box has no use for. */
const debianLeavings = [
  'var/log',
  'var/cache',
  'var/lib/apt/lists',
  'var/lib/dpkg/available',
  'etc/machine-id',
  // The builder's.
  'etc/resolv.conf',
  'etc/hostname',
];

const debianBase = async (tree: string): Promise<void> => {
  await runTool('debootstrap', ['--variant=minbase', debianRelease, tree]);
  for (const path of debianLeavings) await removeTree(join(tree, path));
  // The day on which each password was last changed, which is that of the build.
  for (const path of ['etc/shadow', 'etc/shadow-'].map((name) => join(tree, name)))
    if (await isThere(path))
      await writeFile(path, (await readFile(path, 'utf8')).replace(/^([^:]*:[^:]*):\d+:/gm, '$1:1:'));
  for (const path of ['var/log', 'var/cache/apt/archives/partial', 'var/lib/apt/lists/partial'])
    await mkdir(join(tree, path), { recursive: true });
};

const busyboxBase = async (tree: string): Promise<void> => {
  for (const directory of [
    'usr/bin',
    'usr/sbin',
    'usr/lib',
    'usr/lib64',
    'etc',
    'root',
    'home',
    'var/tmp',
    'mnt',
  ])
    await mkdir(join(tree, directory), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${name}`, join(tree, name));
  for (const [name, text] of Object.entries(etcFiles)) await writeFile(join(tree, 'etc', name), text);
};

const etcFiles: Readonly<Record<string, string>> = {
  passwd:
    'root:x:0:0:root:/root:/bin/sh\nbox:x:1000:1000:box:/home/box:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  group: 'root:x:0:\ntty:x:5:\nbox:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n',
  profile: 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
  'os-release': 'ID=boxledger\nNAME="boxledger"\nPRETTY_NAME="boxledger with busybox"\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

const linkApplets = async (tree: string, busyboxPath: string): Promise<void> => {
  const applets = (await runTool('busybox', ['--list-full'])).split('\n').filter((line) => line !== '');
  if (applets.length === 0) throw new BoxledgerError('Internal', `${busyboxPath} has no applets`);
  for (const applet of [
    'usr/bin/busybox',
    ...applets.map((path) => (path.startsWith('usr/') ? path : `usr/${path}`)),
  ]) {
    const path = join(tree, applet);
    await mkdir(dirname(path), { recursive: true });
    if (!(await linkThere(path))) await symlink(join(guestDirectory, 'busybox'), path);
  }
  // So that programs of the host's own libc, Node among them, run here as they do there.
  await symlink(join(guestDirectory, 'lib'), join(tree, 'usr/lib/x86_64-linux-gnu'));
  await symlink(join(guestDirectory, 'lib', loader), join(tree, 'usr/lib64', loader));
  await symlink(join(guestDirectory, 'node.bin'), join(tree, 'usr/bin/node'));
};

const loader = 'ld-linux-x86-64.so.2';

/** The agent's own, with its own libraries: whatever libc the box has, or none. */
const bringNode = async (own: string, nodePath: string): Promise<void> => {
  await program(await realpath(nodePath), join(own, 'node.bin'));
  for (const path of librariesIn(await runTool('ldd', [nodePath])))
    await program(await realpath(path), join(own, 'lib', basename(path)));
  const directory = join(guestDirectory, 'lib');
  await writeFile(
    join(own, 'node'),
    `#!/bin/sh\nexec ${directory}/${loader} --library-path ${directory} ${guestDirectory}/node.bin "$@"\n`,
  );
  await chmod(join(own, 'node'), 0o755);
};

const librariesIn = (ldd: string): readonly string[] =>
  ldd.split('\n').flatMap((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1] ?? []);

const program = async (from: string, to: string): Promise<void> => {
  await copyFile(from, to);
  await chmod(to, 0o755);
};

const linkThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** Every path below, parents first, by name: for what has to come out the same each time. */
export const pathsBelow = async (directory: string, prefix = ''): Promise<readonly string[]> => {
  const entries = await readdir(join(directory, prefix), { withFileTypes: true });
  const below: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(prefix, entry.name);
    below.push(path);
    if (entry.isDirectory()) below.push(...(await pathsBelow(directory, path)));
  }
  return below;
};
