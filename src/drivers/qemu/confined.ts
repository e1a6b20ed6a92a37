import { join } from 'node:path';
import type { LaunchPlan } from '../supervised/boot.ts';
import { boxUid } from '../supervised/disk.ts';
import { dropTo, stagePoint } from '../supervised/unprivileged.ts';

export interface ConfinedBase {
  readonly serviceIsRoot: boolean;
  /** Shell program that binds what a user without rights may not reach (see stage.ts). */
  readonly stage: string;
}

/** Directories that a machine has to do with. `template` null: none. */
export interface Places {
  readonly disk: string;
  readonly guest: string;
  readonly image: string;
  readonly template: string | null;
}

/** Where a confined QEMU finds them. */
export const inside: Places = {
  disk: '/box/disk',
  guest: '/box/guest',
  image: '/box/image',
  template: '/box/template',
};

export const systemPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const ofSystem = [
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc/alternatives',
  '/etc/ld.so.cache',
];

/** In namespaces in which there is nothing but its programs and its files; the image cannot be written to. */
export const confined = (
  { serviceIsRoot, stage }: ConfinedBase,
  outside: Places,
  needsKvm: boolean,
): Pick<LaunchPlan, 'wrapper' | 'env'> => {
  const named = Object.entries(outside).flatMap(([name, path]) => (path === null ? [] : [{ name, path }]));
  const stageAt = stagePoint(named.map(({ path }) => path));
  const bind = (how: '--bind' | '--ro-bind', name: keyof Places) => {
    const [from, to] = [outside[name], inside[name]];
    return from === null || to === null ? [] : [how, serviceIsRoot ? join(stageAt, name) : from, to];
  };
  const bwrap = [
    ...['env', '-i', systemPath, 'bwrap'],
    ...[
      '--unshare-all',
      '--die-with-parent',
      '--new-session',
      '--cap-drop',
      'ALL',
      '--ro-bind',
      '/usr',
      '/usr',
    ],
    ...ofSystem.flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
    ...(needsKvm ? ['--dev-bind', '/dev/kvm', '/dev/kvm'] : []),
    ...[...bind('--bind', 'disk'), ...bind('--bind', 'guest'), ...bind('--bind', 'template')],
    ...[...bind('--ro-bind', 'image'), '--remount-ro', '/', '--chdir', '/', '--'],
  ];
  if (!serviceIsRoot) return { wrapper: bwrap, env: {} };
  const staged = named.flatMap(({ name, path }) => [path, name]);
  const asRoot = ['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--mount', '--', 'sh', stage];
  return {
    wrapper: [...asRoot, ...staged, '--', 'setpriv', ...dropTo(boxUid), '--', ...bwrap],
    env: { BL_STAGE: stageAt },
  };
};

export const unprivileged = ({ serviceIsRoot }: ConfinedBase): readonly string[] =>
  serviceIsRoot ? ['setpriv', ...dropTo(boxUid), '--'] : ['setpriv', '--pdeathsig', 'KILL', '--'];
