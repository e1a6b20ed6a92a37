import type { Isolation } from '../driver.ts';
import { type CgroupHost, hasCpuLimit, hasMemoryLimit } from '../supervised/cgroup.ts';
import { boxUid } from '../supervised/disk.ts';
import type { Accelerator } from './accelerator.ts';
import { runTool } from './tools.ts';

export interface Confinement {
  /** QEMU runs in namespaces in which there is nothing but its own files. */
  readonly confined: boolean;
  /** Why not. */
  readonly lack: string | undefined;
}

/** Throws `Unsupported` when there is no QEMU. */
export const confinementOf = async (wanted: boolean | undefined): Promise<Confinement> => {
  for (const tool of ['qemu-system-x86_64', 'qemu-img', 'mkfs.ext4'] as const)
    await runTool(tool, [tool === 'mkfs.ext4' ? '-V' : '--version']);
  if (wanted === false) return { confined: false, lack: 'QEMU is not confined, since that was asked for' };
  const probe = ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--', 'true'];
  try {
    await runTool('bwrap', probe);
    return { confined: true, lack: undefined };
  } catch (error) {
    if (wanted === true) throw error;
    return { confined: false, lack: `QEMU is not confined by namespaces: ${(error as Error).message}` };
  }
};

export const isolationOf = (
  { confined, lack }: Confinement,
  accelerator: Accelerator,
  serviceIsRoot: boolean,
  cgroups: CgroupHost,
): Isolation => {
  const facts = [
    [`a machine of its own (QEMU microvm, ${accelerator})`, undefined],
    ['QEMU may make no calls that it needs not (seccomp sandbox)', undefined],
    confined
      ? ['QEMU in namespaces of its own, with its own files and no network (bwrap)', undefined]
      : [undefined, lack],
    serviceIsRoot
      ? [`QEMU runs as user ${boxUid}, without capabilities or new privileges`, undefined]
      : [undefined, 'QEMU runs as the user of the service: only root can give it another'],
    hasMemoryLimit(cgroups)
      ? ['memory limit (cgroup)', undefined]
      : [undefined, 'no memory limit: no cgroup for it'],
    hasCpuLimit(cgroups)
      ? ['processor limit (cgroup)', undefined]
      : [undefined, 'no processor limit: no cgroup for it'],
  ] as const;
  return {
    isolates: true,
    measures: facts.flatMap(([measure]) => measure ?? []),
    missing: facts.flatMap(([, missing]) => missing ?? []),
  };
};
