import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BoxId } from '../../kernel/ids.ts';
import { readIfThere } from '../../os/files.ts';
import type { LaunchPlan } from '../supervised/boot.ts';
import { boxUid } from '../supervised/disk.ts';
import type { AttemptLayout } from '../supervised/layout.ts';
import { bootMark } from '../supervised/process-tree.ts';
import { dropTo, stagePoint } from '../supervised/unprivileged.ts';
import type { ScriptFiles } from './scripts.ts';

/**
 * How a box is kept apart, best first. `unshare-without-user` is for a service that is root on a machine that forbids
 * user namespaces: everything but that one.
 */
export const isolationModes = ['bwrap', 'unshare', 'unshare-without-user', 'plain'] as const;
export type IsolationMode = (typeof isolationModes)[number];

/** What `boxUid` is inside, in a user namespace. */
const innerUid = 1000;

/** What all boxes of a service have in common. */
export interface LaunchBase {
  readonly mode: IsolationMode;
  readonly serviceIsRoot: boolean;
  readonly scripts: ScriptFiles;
  /** Absolute, links resolved. */
  readonly nodePath: string;
  readonly agentPath: string;
}

export interface LaunchTarget {
  readonly boxId: BoxId;
  readonly nonce: string;
  readonly hostname: string;
  readonly network: 'none' | 'host';
  readonly disk: string;
  readonly attempt: AttemptLayout;
}

const home = '/home/box';
const guest = '/run/boxledger/guest';
const agent = '/run/boxledger/agent.cjs';
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const rootDirectories = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
const etcDirectories = [
  '/etc/ssl/certs',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust',
  '/etc/ca-certificates',
  '/etc/alternatives',
  '/etc/ld.so.conf.d',
];
const etcFiles = [
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',

  '/etc/nsswitch.conf',
  '/etc/resolv.conf',
  '/etc/host.conf',
  '/etc/gai.conf',
  '/etc/protocols',
  '/etc/services',
  '/etc/localtime',
  '/etc/timezone',
  '/etc/os-release',
  '/etc/debian_version',
  '/etc/mime.types',
  '/etc/profile',
  '/etc/bash.bashrc',
];

/**
 * Becomes the program that it is given, once it has told that the box stands. The mode of its home is the box's own
 * affair: one that it shut to itself keeps it from being there, and from nothing else.
 */
const announce = 'cd -- "$HOME" 2>/dev/null; (echo up >&3) 2>/dev/null; exec 3>&-; exec "$@"';
/** As pid 1: stays as the parent of all orphans, so that they are reaped, and ends with the program. */
const announceAndReap = '"$@" 3>&- & (echo up >&3) 2>/dev/null; exec 3>&-; wait $!';

export const launchPlan = (base: LaunchBase, target: LaunchTarget): LaunchPlan => {
  switch (base.mode) {
    case 'bwrap':
      return bwrapPlan(base, target);
    case 'unshare':
    case 'unshare-without-user':
      return unsharePlan(base, target);
    case 'plain':
      return plainPlan(base, target);
    default:
      return base.mode satisfies never;
  }
};

/** The box's own files for /etc. */
export const writeEtc = async (base: LaunchBase, target: LaunchTarget): Promise<void> => {
  const uid = base.mode === 'unshare-without-user' ? boxUid : innerUid;
  const hosts =
    target.network === 'host'
      ? ((await readIfThere('/etc/hosts')) ?? '')
      : '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n';
  const write = (name: string, text: string) =>
    writeFile(join(target.attempt.etc, name), text, { mode: 0o644 });
  await write(
    'passwd',
    `box:x:${uid}:${uid}:box:${home}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n`,
  );
  await write('group', `box:x:${uid}:\nnogroup:x:65534:\n`);
  await write('hosts', `${hosts.trimEnd()}\n127.0.1.1 ${target.hostname}\n`);
  await write('hostname', `${target.hostname}\n`);
};

/** Node's installation when it is outside of the system's directories: all of it if it is one, else the program alone. */
const nodeToBind = (nodePath: string): string | undefined => {
  if (['/usr/', ...rootDirectories.map((directory) => `${directory}/`)].some((it) => nodePath.startsWith(it)))
    return undefined;
  const prefix = dirname(dirname(nodePath));
  return existsSync(join(prefix, 'include/node/node.h')) ? prefix : nodePath;
};

const unsharePlan = (base: LaunchBase, target: LaunchTarget): LaunchPlan => {
  const ownUser = base.mode === 'unshare';
  const node = nodeToBind(base.nodePath);
  return {
    wrapper: [
      ...['setpriv', '--pdeathsig', 'KILL', '--', 'unshare'],
      ...(base.serviceIsRoot ? [] : ['--user', '--map-root-user']),
      ...['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child'],
      ...(target.network === 'none' ? ['--net'] : []),
      ...['--', 'sh', base.scripts.enter],
      ...['env', '-i', ...environmentIn(node, target), 'sh', '-c', announceAndReap, 'init'],
    ],
    program: programIn(base.nodePath, node),
    env: {
      BL_ROOT: target.attempt.root,
      BL_DISK: target.disk,
      BL_GUEST: target.attempt.guest,
      BL_AGENT: base.agentPath,
      BL_NODE: node ?? '',
      BL_ETC: target.attempt.etc,
      BL_ETC_DIRECTORIES: etcDirectories.join(' '),
      BL_ETC_FILES: etcFiles.join(' '),
      BL_HOSTNAME: target.hostname,
      BL_NETWORK: target.network,
      BL_UID: base.serviceIsRoot ? String(boxUid) : '',
      BL_USER_NAMESPACE: ownUser ? '1' : '',
    },
  };
};

const bwrapPlan = (base: LaunchBase, target: LaunchTarget): LaunchPlan => {
  const node = nodeToBind(base.nodePath);
  const stageAt = stagePoint([target.disk, target.attempt.directory, base.agentPath, node]);
  const staged: readonly (readonly [source: string, name: string])[] = [
    [target.disk, 'disk'],
    [target.attempt.guest, 'guest'],
    [target.attempt.etc, 'etc'],
    [base.agentPath, 'agent'],
    ...(node === undefined ? [] : ([[node, 'node']] as const)),
  ];
  const at = (source: string) => {
    const name = staged.find(([path]) => path === source)?.[1];
    return base.serviceIsRoot && name !== undefined ? join(stageAt, name) : source;
  };
  const bwrap = [
    // Its init stays in the box, and shows the environment that it was started with.
    ...['env', '-i', `PATH=${systemPath}`],
    ...['bwrap', '--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts'],
    ...(target.network === 'none' ? ['--unshare-net'] : []),
    ...['--uid', String(innerUid), '--gid', String(innerUid), '--hostname', target.hostname],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    ...['--ro-bind', '/usr', '/usr', ...rootDirectories.flatMap((path) => ['--ro-bind-try', path, path])],
    ...[...etcDirectories, ...etcFiles].flatMap((path) => ['--ro-bind-try', path, path]),
    ...['passwd', 'group', 'hosts', 'hostname'].flatMap((name) => [
      ...['--ro-bind', `${at(target.attempt.etc)}/${name}`, `/etc/${name}`],
    ]),
    ...['--proc', '/proc', '--tmpfs', '/tmp', '--tmpfs', '/var/tmp'],
    ...['--dev', '/dev', '--tmpfs', '/dev/shm', '--remount-ro', '/dev'],
    ...['--bind', at(target.disk), home, '--bind', at(target.attempt.guest), guest],
    ...['--ro-bind', at(base.agentPath), agent],
    ...(node === undefined
      ? []
      : ['--ro-bind', at(node), node === base.nodePath ? '/opt/node/bin/node' : '/opt/node']),
    ...['--remount-ro', '/', '--chdir', '/', '--'],
    ...['env', '-i', ...environmentIn(node, target), 'sh', '-c', announce, 'init'],
  ];
  return {
    wrapper: base.serviceIsRoot
      ? [
          ...['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--mount', '--', 'sh', base.scripts.stage],
          ...[...staged.flat(), '--', 'setpriv', ...dropTo(boxUid), '--', ...bwrap],
        ]
      : bwrap,
    program: programIn(base.nodePath, node),
    env: { BL_STAGE: stageAt },
  };
};

/** No namespaces. Still not root, and no way to become it. */
const plainPlan = (base: LaunchBase, target: LaunchTarget): LaunchPlan => ({
  wrapper: [
    ...(base.serviceIsRoot ? ['setpriv', ...dropTo(boxUid), '--'] : []),
    ...['env', '-i', `PATH=${dirname(base.nodePath)}:${systemPath}`],
    ...[`HOME=${target.disk}`, 'USER=box', 'LOGNAME=box', 'LANG=C.UTF-8', ...marks(target)],
    ...['sh', '-c', announce, 'init'],
  ],
  program: [
    base.nodePath,
    base.agentPath,
    // The shim opened that directory for the box: however long its path, a socket's address is short this way.
    ...[
      '--socket',
      process.platform === 'linux' ? '/proc/self/fd/4/agent.sock' : `${target.attempt.guest}/agent.sock`,
    ],
  ],
  env: {},
});

const environmentIn = (node: string | undefined, target: LaunchTarget) => [
  `PATH=${node === undefined ? '' : '/opt/node/bin:'}${systemPath}`,
  ...[`HOME=${home}`, 'USER=box', 'LOGNAME=box', 'SHELL=/bin/sh', 'TMPDIR=/tmp', 'LANG=C.UTF-8'],
  ...marks(target),
];

const marks = ({ boxId, nonce }: LaunchTarget) => [`BOXLEDGER_BOX_ID=${boxId}`, `${bootMark}=${nonce}`];

const programIn = (nodePath: string, bound: string | undefined): LaunchPlan['program'] => [
  bound === undefined ? nodePath : '/opt/node/bin/node',
  agent,
  '--socket',
  `${guest}/agent.sock`,
];
