import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BoxledgerError } from '../../kernel/errors.ts';
import { boxId } from '../../kernel/ids.ts';
import type { Isolation } from '../driver.ts';
import { type CgroupHost, hasCpuLimit, hasMemoryLimit } from '../supervised/cgroup.ts';
import { boxUid } from '../supervised/disk.ts';
import { removeTree } from '../supervised/files.ts';
import { type AttemptLayout, layoutOf } from '../supervised/layout.ts';
import {
  type IsolationMode,
  isolationModes,
  type LaunchBase,
  type LaunchTarget,
  launchPlan,
  writeEtc,
} from './launch-plan.ts';

const run = promisify(execFile);
const probeTimeoutMs = 20_000;

export interface ChosenMode {
  readonly mode: IsolationMode;
  /** Why better modes are not in force, by mode. */
  readonly failures: ReadonlyMap<IsolationMode, string>;
}

type BaseWithoutMode = Omit<LaunchBase, 'mode'>;

/** Finds the best mode that works here, by making a box in each, best first; `forced` tries that one alone. */
export const chooseMode = async (
  base: BaseWithoutMode,
  dataDir: string,
  forced: IsolationMode | undefined,
): Promise<ChosenMode> => {
  const failures = new Map<IsolationMode, string>();
  await removeLeftProbes(dataDir);
  for (const mode of forced === undefined ? isolationModes : [forced]) {
    if (mode === 'plain' && base.serviceIsRoot) await letThrough(dataDir);
    const failure = reasonAgainst(mode, base) ?? (await probe({ ...base, mode }, dataDir));
    if (failure === undefined) return { mode, failures };
    failures.set(mode, failure);
  }
  throw new BoxledgerError('Unsupported', 'this machine can run no box with the process driver', {
    help:
      'As root the service runs boxes as an unprivileged user, which must be able to reach Node, the guest agent and, ' +
      'where there are no mount namespaces, the data directory. Move them, or run the service as another user.',
    details: Object.fromEntries(failures),
  });
};

export const isolationOf = (
  { mode, failures }: ChosenMode,
  serviceIsRoot: boolean,
  cgroups: CgroupHost,
): Isolation => {
  const isolates = mode !== 'plain';
  const version = cgroups.unifiedControllers.has('memory') ? 2 : 1;
  const freezer = cgroups.parents.unified ?? cgroups.parents.freezer;
  const limitsHelp = 'run the service as root, or give it a writable cgroup (systemd: Delegate=yes)';
  const said = (condition: boolean, yes: string, no: string) =>
    condition ? ([yes, undefined] as const) : ([undefined, no] as const);
  const facts = [
    said(
      isolates,
      `own mount, pid, ipc and uts namespaces (${mode === 'bwrap' ? mode : 'unshare'})`,
      noNamespaces,
    ),
    said(
      mode === 'bwrap' || mode === 'unshare',
      'own user namespace',
      'User namespaces are not allowed (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone).',
    ),
    said(
      isolates,
      'own network namespace for boxes without network',
      'Boxes without network have it all the same.',
    ),
    said(
      isolates,
      'system directories read-only, no other file of the host',
      'Boxes see the files of the host.',
    ),
    serviceIsRoot
      ? ([`runs as user ${boxUid}, without capabilities or new privileges`, undefined] as const)
      : (["runs as the service's own user", undefined] as const),
    said(
      hasMemoryLimit(cgroups),
      `memory limit (cgroup v${version})`,
      `No memory limit: no writable memory cgroup; ${limitsHelp}.`,
    ),
    said(
      hasCpuLimit(cgroups),
      `cpu limit (cgroup v${version})`,
      `No cpu limit: no writable cpu cgroup; ${limitsHelp}.`,
    ),
    said(
      freezer !== undefined,
      `freezer (cgroup v${cgroups.parents.unified === undefined ? 1 : 2})`,
      `No cgroup freezer: a pause stops each process by SIGSTOP; ${limitsHelp}.`,
    ),
  ];
  return {
    isolates,
    measures: facts.flatMap(([yes]) => yes ?? []),
    missing: [
      ...facts.flatMap(([, no]) => no ?? []),
      ...[...failures].map(([failed, why]) => `${failed} is not used: ${why}`),
    ],
  };
};

const noNamespaces =
  'No namespaces: a box is a plain process and can do all that its user may. On Linux install bubblewrap, or allow ' +
  'unprivileged user namespaces.';

const reasonAgainst = (mode: IsolationMode, base: BaseWithoutMode): string | undefined => {
  if (mode === 'plain') return undefined;
  if (process.platform !== 'linux') return 'it needs Linux';
  if (mode === 'unshare-without-user' && !base.serviceIsRoot) return 'it needs a service that is root';
  return undefined;
};

/** Makes a box that only looks whether it could run the agent; says why it could not. */
const probe = async (base: LaunchBase, dataDir: string): Promise<string | undefined> => {
  const directory = join(dataDir, 'run', `probe-${randomBytes(6).toString('hex')}`);
  const target = probeTarget(directory);
  try {
    await mkdir(directory, { mode: directoryModeFor(base) });
    for (const path of [target.disk, target.attempt.guest, target.attempt.root])
      await mkdir(path, { recursive: true, mode: directoryModeFor(base) });
    await mkdir(target.attempt.etc, { mode: 0o755 });
    if (base.serviceIsRoot)
      for (const path of [target.disk, target.attempt.guest]) await chown(path, boxUid, boxUid);
    await writeEtc(base, target);
    const plan = launchPlan(base, target);
    const [command, ...args] = [
      ...plan.wrapper,
      ...['sh', '-c', 'test -x "$1" && test -r "$2" && : > "$HOME/probe"', 'sh', ...plan.program.slice(0, 2)],
    ];
    await run(command ?? 'false', args, {
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '', ...plan.env },
      timeout: probeTimeoutMs,
      killSignal: 'SIGKILL',
    });
    return undefined;
  } catch (error) {
    if (isNotFound(error))
      return `it is not installed (package ${base.mode === 'bwrap' ? 'bubblewrap' : 'util-linux'})`;
    const said = String((error as { stderr?: unknown }).stderr ?? '').trim();
    return said === ''
      ? 'the program or its files cannot be reached by the box'
      : (said.split('\n')[0] ?? said);
  } finally {
    await removeTree(directory);
  }
};

/**
 * No such command, seen by ourselves or by a wrapper that was to run it (env(1), setpriv(1): exit code 127). It is EACCES
 * when PATH leads through a directory that is not ours to search.
 */
const isNotFound = (error: unknown): boolean =>
  ['ENOENT', 'EACCES', 127].includes((error as { code: string | number }).code);

/** A plain box of another user goes through the service's directories to its own; nobody else's are readable to it. */
export const directoryModeFor = (base: LaunchBase): number =>
  base.mode === 'plain' && base.serviceIsRoot ? 0o711 : 0o700;

const probeTarget = (directory: string): LaunchTarget & { readonly attempt: AttemptLayout } => {
  const id = boxId('bx_0000000000000000');
  return {
    boxId: id,
    nonce: '0'.repeat(16),
    hostname: 'probe',
    network: 'none',
    disk: join(directory, 'disk'),
    attempt: layoutOf(directory).box(id).attempt('attempt'),
  };
};

/** The box's user has to get to the box's directories, but sees no list of them. */
const letThrough = async (directory: string): Promise<void> =>
  chmod(directory, ((await stat(directory)).mode & 0o777) | 0o011);

/** A service that was killed in mid-probe leaves one behind; one that is at it right now keeps its own. */
const probeAgeMinMs = 10 * probeTimeoutMs;

const removeLeftProbes = async (dataDir: string): Promise<void> => {
  for (const name of await readdir(join(dataDir, 'run'))) {
    if (!name.startsWith('probe-')) continue;
    const path = join(dataDir, 'run', name);
    if (Date.now() - (await stat(path)).mtimeMs > probeAgeMinMs) await removeTree(path);
  }
};
