import { join } from 'node:path';
import type { BoxOptions } from '../../events/box-options.ts';
import type { LaunchPlan } from '../supervised/boot.ts';
import type { AttemptLayout } from '../supervised/layout.ts';
import { bootMark } from '../supervised/process-tree.ts';
import { memoryName } from '../supervised/suspension.ts';
import type { Accelerator } from './accelerator.ts';
import { type ConfinedBase, confined, inside, type Places, systemPath, unprivileged } from './confined.ts';
import { guestPortName } from './image/guest-files.ts';

export interface MachineBase extends ConfinedBase {
  /** Runs QEMU in namespaces of its own. */
  readonly confined: boolean;
  readonly accelerator: Accelerator;
  /** Frequency of the host's time stamp counter in kHz: a microvm has no clock to find it out by. */
  readonly tscKhz: number;
}

export interface MachineTarget {
  readonly boxId: string;
  readonly nonce: string;
  readonly options: Pick<BoxOptions, 'memoryMib' | 'cpus'>;
  /** Directories: of the box's disk, of this attempt, of the image. */
  readonly disk: string;
  readonly attempt: Pick<AttemptLayout, 'guest'>;
  readonly image: string;
  /** Name of the disk's active file. */
  readonly active: string;
  /**
   * A directory, and what it has to do with the machine: a template that is made of it, or that it goes on from, or its own
   * memory from which it goes on. Undefined: it boots.
   */
  readonly template?:
    | { readonly directory: string; readonly use: 'make' | 'go on' | 'own memory' }
    | undefined;
}

/** Descriptor by which QEMU gets the state that it goes on from. */
export const stateDescriptor = 5;
/** In a template's directory. */
export const templateFiles = { memory: 'memory', state: 'state' } as const;

/** A machine of QEMU's kind `microvm`: no PCI, no firmware to go through, no devices but these. */
export const machinePlan = (base: MachineBase, target: MachineTarget): LaunchPlan => {
  const { disk, attempt, image, template } = target;
  const outside: Places = { disk, guest: attempt.guest, image, template: template?.directory ?? null };
  const places = base.confined ? inside : outside;
  const { wrapper, env } = base.confined
    ? confined(base, outside, base.accelerator === 'kvm')
    : { wrapper: unprivileged(base), env: {} };
  const marks = [`${bootMark}=${target.nonce}`, `BOXLEDGER_BOX_ID=${target.boxId}`];
  const file = template?.use === 'own memory' ? memoryName : templateFiles.state;
  const state = goesOn(template) ? [join(places.template ?? '', file)] : [];
  return {
    wrapper: [
      ...[...wrapper, 'env', '-i', ...marks, 'HOME=/', systemPath],
      ...['sh', '-c', state.length > 0 ? announceWithState : announce, 'init', ...state],
    ],
    program: ['qemu-system-x86_64', ...machineOptions(base, target, places)],
    env,
  };
};

const goesOn = (template: MachineTarget['template']) =>
  template?.use === 'go on' || template?.use === 'own memory';

/** Becomes the program that it is given, once it has told that the box stands. */
const announce = '(echo up >&3) 2>/dev/null; exec 3>&-; exec "$@"';
/** With the file that comes first open for it to read. */
const announceWithState = `(echo up >&3) 2>/dev/null; exec 3>&-; exec ${stateDescriptor}<"$1"; shift; exec "$@"`;

const machineOptions = (
  base: MachineBase,
  { options, active, template }: MachineTarget,
  { disk, guest, image, template: templateAt }: Places,
): readonly string[] => [
  ...['-nodefaults', '-no-user-config', '-nographic', '-no-reboot', '-M', 'microvm'],
  ...processor(base.accelerator),
  ...['-m', String(options.memoryMib), '-smp', String(Math.ceil(options.cpus))],
  ...['-global', 'virtio-mmio.force-legacy=off'],
  ...(goesOn(template) ? ['-incoming', 'defer'] : kernel(image, base.tscKhz)),
  ...['-object', memory(options.memoryMib, template?.use, templateAt ?? ''), '-M', 'memory-backend=memory'],
  ...['-drive', `id=image,if=none,format=raw,readonly=on,file=${inOption(join(image, 'root.ext4'))}`],
  ...['-device', 'virtio-blk-device,drive=image'],
  ...[
    '-drive',
    `id=disk,if=none,format=qcow2,cache=writeback,discard=unmap,werror=report,rerror=report,file=${inOption(join(disk, active))}`,
  ],
  ...['-device', 'virtio-blk-device,drive=disk'],
  ...['-device', 'virtio-serial-device,max_ports=2'],
  ...['-chardev', `socket,id=guest,server=on,wait=off,path=${inOption(join(guest, 'agent.sock'))}`],
  ...['-device', `virtserialport,chardev=guest,name=${guestPortName}`],
  ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
  ...['-qmp', `unix:${inOption(join(guest, 'qmp.sock'))},server=on,wait=off`],
  ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
];

/** A value among others: a comma would end it. */
const inOption = (path: string): string => path.replaceAll(',', ',,');

const processor = (accelerator: Accelerator): readonly string[] =>
  accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : ['-accel', 'tcg,tb-size=48', '-cpu', 'max,-smap,-pku'];

/** Linux and its agent do not come up with less. */
export const machineMemoryMinMib = 128;

const kernel = (image: string, tscKhz: number): readonly string[] => {
  const options = [
    'console=ttyS0 quiet loglevel=3 panic=-1 reboot=t random.trust_cpu=on',
    `tsc_early_khz=${tscKhz} no_timer_check nowatchdog rcupdate.rcu_expedited=1`,
    'mitigations=off nokaslr audit=0 lsm= cryptomgr.notests 8250.nr_uarts=1',
  ].join(' ');
  return ['-kernel', join(image, 'kernel'), '-initrd', join(image, 'initramfs'), '-append', options];
};

/** A template's is a file; a machine that goes on from it has its own copy of what it writes to. */
const memory = (
  mib: number,
  use: NonNullable<MachineTarget['template']>['use'] | undefined,
  directory: string,
): string => {
  if (use === undefined || use === 'own memory') return `memory-backend-ram,id=memory,size=${mib}M`;
  const file = join(directory, templateFiles.memory);
  return `memory-backend-file,id=memory,size=${mib}M,mem-path=${inOption(file)},share=${use === 'make' ? 'on' : 'off'}`;
};
