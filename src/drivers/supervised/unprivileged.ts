import { existsSync } from 'node:fs';

/** How a box's outermost process loses whatever its service could do. */

/** Arguments of setpriv(1). */
export const dropTo = (uid: number): readonly string[] => [
  ...['--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--bounding-set', '-all'],
  ...['--inh-caps', '-all', '--ambient-caps', '-all', '--no-new-privs', '--pdeathsig', 'KILL'],
];

/** A directory that every Linux has and that none of the paths lies under: it is covered, in the box's namespace only. */
export const stagePoint = (paths: readonly (string | undefined)[]): string => {
  const candidates = ['/mnt', '/media', '/srv', '/opt', '/tmp', '/var/tmp'].filter((path) =>
    existsSync(path),
  );
  return candidates.find((path) => !paths.some((used) => used?.startsWith(`${path}/`))) ?? '/mnt';
};
