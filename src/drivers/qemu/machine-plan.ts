import { join } from 'node:path';
import type { BoxOptions } from '../../events/box-options.ts';
import type { LaunchPlan } from '../supervised/boot.ts';
import { boxUid } from '../supervised/disk.ts';
import type { AttemptLayout } from '../supervised/layout.ts';
import { bootMark } from '../supervised/process-tree.ts';
import { dropTo, stagePoint } from '../supervised/unprivileged.ts';
import type { Accelerator } from './accelerator.ts';
import { guestPortName } from './image/guest-files.ts';

export interface MachineBase {
  readonly serviceIsRoot: boolean;
  /** Runs QEMU in namespaces of its own. */
  readonly confined: boolean;
  readonly accelerator: Accelerator;
  /** Shell program that binds what a user without rights may not reach (see stage.ts). */
  readonly stage: string;
  /** Frequency of the host's time stamp counter in kHz: a microvm has no clock to find it out by. */
  readonly tscKhz: number;
}

export interface MachineTarget {
  readonly boxId: string;
  readonly nonce: string;
  readonly options: BoxOptions;
  /** Directories: of the box's disk, of this attempt, of the image. */
  readonly disk: string;
  readonly attempt: AttemptLayout;
  readonly image: string;
  /** Name of the disk's active file. */
  readonly active: string;
}

/** Where a confined QEMU finds its files. */
const inside = { disk: '/box/disk', guest: '/box/guest', image: '/box/image' } as const;
type Places = Readonly<Record<keyof typeof inside, string>>;

/** A machine of QEMU's kind `microvm`: no PCI, no firmware to go through, no devices but these. */
export const machinePlan = (base: MachineBase, target: MachineTarget): LaunchPlan => {
  const outside: Places = { disk: target.disk, guest: target.attempt.guest, image: target.image };
  const plan = base.confined ? confined(base, outside) : { wrapper: unprivileged(base), env: {} };
  const environment = [`${bootMark}=${target.nonce}`, `BOXLEDGER_BOX_ID=${target.boxId}`, 'HOME=/', path];
  return {
    wrapper: [...plan.wrapper, 'env', '-i', ...environment, 'sh', '-c', announce, 'init'],
    program: ['qemu-system-x86_64', ...machineOptions(base, target, base.confined ? inside : outside)],
    env: plan.env,
  };
};

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const announce = '(echo up >&3) 2>/dev/null; exec 3>&-; exec "$@"';

const machineOptions = (
  { accelerator, tscKhz }: MachineBase,
  { options, active }: MachineTarget,
  { disk, guest, image }: Places,
): readonly string[] => [
  ...['-nodefaults', '-no-user-config', '-nographic', '-no-reboot', '-M', 'microvm'],
  ...(accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : ['-accel', 'tcg,tb-size=32', '-cpu', 'max,-smap,-pku']),
  ...[
    '-m',
    String(Math.max(options.memoryMib, machineMemoryMinMib)),
    '-smp',
    String(Math.ceil(options.cpus)),
  ],
  ...['-global', 'virtio-mmio.force-legacy=off'],
  ...[
    '-kernel',
    join(image, 'kernel'),
    '-initrd',
    join(image, 'initramfs'),
    '-append',
    kernelOptions(tscKhz),
  ],
  ...['-drive', `id=image,if=none,format=raw,readonly=on,file=${join(image, 'root.ext4')}`],
  ...['-device', 'virtio-blk-device,drive=image'],
  ...['-drive', `id=disk,if=none,format=qcow2,cache=writeback,discard=unmap,file=${join(disk, active)}`],
  ...['-device', 'virtio-blk-device,drive=disk'],
  ...['-device', 'virtio-serial-device,max_ports=2'],
  ...['-chardev', `socket,id=guest,server=on,wait=off,path=${join(guest, 'agent.sock')}`],
  ...['-device', `virtserialport,chardev=guest,name=${guestPortName}`],
  ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
  ...['-qmp', `unix:${join(guest, 'qmp.sock')},server=on,wait=off`],
  ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
];

/** Linux and its agent do not come up with less. */
export const machineMemoryMinMib = 128;

const kernelOptions = (tscKhz: number): string =>
  [
    'console=ttyS0 quiet loglevel=3 panic=-1 reboot=t random.trust_cpu=on',
    `tsc_early_khz=${tscKhz} no_timer_check nowatchdog rcupdate.rcu_expedited=1`,
    'mitigations=off nokaslr audit=0 lsm= cryptomgr.notests 8250.nr_uarts=1',
  ].join(' ');

/** In namespaces in which there is nothing but its programs and its files; the image cannot be written to. */
const confined = (
  { serviceIsRoot, stage, accelerator }: MachineBase,
  outside: Places,
): { readonly wrapper: readonly string[]; readonly env: LaunchPlan['env'] } => {
  const stageAt = stagePoint(Object.values(outside));
  const at = (name: keyof Places) => (serviceIsRoot ? join(stageAt, name) : outside[name]);
  const bwrap = [
    ...[
      'env',
      '-i',
      path,
      'bwrap',
      '--unshare-all',
      '--die-with-parent',
      '--new-session',
      '--cap-drop',
      'ALL',
    ],
    ...['--ro-bind', '/usr', '/usr'],
    ...[
      '/bin',
      '/sbin',
      '/lib',
      '/lib32',
      '/lib64',
      '/libx32',
      '/etc/alternatives',
      '/etc/ld.so.cache',
    ].flatMap((each) => ['--ro-bind-try', each, each]),
    ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
    ...(accelerator === 'kvm' ? ['--dev-bind', '/dev/kvm', '/dev/kvm'] : []),
    ...['--bind', at('disk'), inside.disk, '--bind', at('guest'), inside.guest],
    ...['--ro-bind', at('image'), inside.image, '--remount-ro', '/', '--chdir', '/', '--'],
  ];
  if (!serviceIsRoot) return { wrapper: bwrap, env: {} };
  const staged = Object.entries(outside).flatMap(([name, source]) => [source, name]);
  const asRoot = [
    'setpriv',
    '--pdeathsig',
    'KILL',
    '--',
    'unshare',
    '--mount',
    '--',
    'sh',
    stage,
    ...staged,
    '--',
  ];
  return { wrapper: [...asRoot, 'setpriv', ...dropTo(boxUid), '--', ...bwrap], env: { BL_STAGE: stageAt } };
};

const unprivileged = ({ serviceIsRoot }: MachineBase): readonly string[] =>
  serviceIsRoot ? ['setpriv', ...dropTo(boxUid), '--'] : [];
