import { createHash } from 'node:crypto';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import type { BootSpec, Driver, Isolation } from '../driver.ts';
import type { BootStep } from '../supervised/boot.ts';
import { type CgroupHost, findCgroups } from '../supervised/cgroup.ts';
import { type Owner, ownerOf } from '../supervised/disk.ts';
import type { DiskStep } from '../supervised/disk-context.ts';
import { asBoxledgerError } from '../supervised/errno-error.ts';
import { installFile } from '../supervised/install.ts';
import { type Layout, layoutOf } from '../supervised/layout.ts';
import { shim } from '../supervised/shim.ts';
import { refuseLongPaths, socketRoot } from '../supervised/socket-root.ts';
import { stage } from '../supervised/stage.ts';
import { SupervisedDriver } from '../supervised/supervised-driver.ts';
import { type Accelerator, chooseAccelerator, tscKhz } from './accelerator.ts';
import { blankDisk } from './blank-disk.ts';
import { inside } from './confined.ts';
import { confinementOf, isolationOf } from './confinement.ts';
import { ImageStore } from './image/image-store.ts';
import { layerFormat } from './layer-format.ts';
import { makeDisk } from './layered-disk.ts';
import { MachineControls } from './machine-controls.ts';
import { type MachineBase, machineMemoryMinMib } from './machine-plan.ts';
import { hostKey, MachineStarts, type MachineStartsOptions } from './machine-starts.ts';
import { makeTemplate, type TemplateMaking } from './make-template.ts';
import { endAllWaiting, ReadyMachines, type ReadyMachinesOptions } from './ready-machines.ts';
import { Templates } from './templates.ts';

export interface QemuDriverOptions {
  /** Everything that lasts is kept below; made when missing. */
  readonly dataDir: string;
  /** By default what works here, best first. */
  readonly accelerator?: Accelerator | 'auto' | undefined;
  /** Undefined: there are no templates, and every machine boots. */
  readonly warmUp?: TemplateMaking['warmUp'] | undefined;
  /** How many machines at most stand ready to become a box, which they do faster than any starts. By default none. */
  readonly readyMachines?: number | undefined;
  /** Told each time that one stands ready. */
  readonly machineStands?: (() => void) | undefined;
  /** Told of a template that could not be made or was not what it had been; machines boot without it. */
  readonly templateFailed?: ((error: unknown) => void) | undefined;
  /** False: QEMU runs without namespaces of its own, though it could have them. */
  readonly confined?: boolean | undefined;
  readonly notCleared?: ((boxId: BoxId, error: unknown) => void) | undefined;
  /** Called after each step of a boot or of work on a disk, for tests that let the service die there. */
  readonly passed?: ((step: BootStep | DiskStep) => void) | undefined;
}

/** Memory of the host that QEMU needs besides the machine's own. */
const overheadMib = 192;

/**
 * Boxes as machines: each a QEMU below a small shim that outlives the service, reached through one port and its monitor.
 * `boxes/ID/disk` in the data directory is what the box has written, in layers above an image that all share. Throws
 * `Unsupported` when no machine could run here.
 */
export const createQemuDriver = async (options: QemuDriverOptions): Promise<Driver> => {
  try {
    const host = await examine(options);
    const { layout, base, owner, images } = host;
    const sockets = socketRoot(layout);
    const diskOf = (boxId: BoxId) => (base.confined ? inside.disk : layout.box(boxId).disk);
    const controls = new MachineControls(sockets, diskOf, (boxId) => starts.answered(boxId));
    const passed = options.passed ?? (() => undefined);
    const boot = {
      mode: 'qemu',
      ...{ owner, overheadMib, passed, shim: host.shim, cgroups: host.cgroups },
      sockets: ['agent.sock', 'qmp.sock'],
      directoryMode: base.confined ? 0o700 : directoryMode,
    } as const;
    const starts = new MachineStarts({
      ...{ base, images, owner },
      ...(await warmStarts(options, host, sockets, { boot, controls })),
      goOn: (boxId) => controls.goOn(boxId),
    });
    const driver = new SupervisedDriver({
      kind: 'qemu',
      ...{ layout, controls, passed },
      isolation: host.isolation,
      guestSocket: (boxId) => join(sockets, boxId, 'guest.sock'),
      identity: ({ boxId, name }) => ({ hostname: name, machineId: machineIdOf(boxId) }),
      format: layerFormat({ owner, images, switchTo: (boxId, active) => controls.switchTo(boxId, active) }),
      notCleared: options.notCleared ?? (() => undefined),
      boot: {
        ...boot,
        makeDisk: async (path) => makeDisk(path, (await imageForNew(images)).digest, host.blank, owner),
        launch: async (spec, box, record) => {
          refuseSmall(spec);
          return starts.launch(spec, box, record);
        },
        started: ({ boxId }) => starts.started(boxId),
      },
      standIn: async (spec, box) => {
        refuseSmall(spec);
        return starts.take(await imageForNew(images), spec, box);
      },
      memory: {
        save: async ({ boxId, record }, path, signal) => {
          const { guest } = layout.box(boxId).attempt(record.nonce);
          const guestInside = base.confined ? inside.guest : guest;
          await controls.saveMemory(boxId, { guest, guestInside }, path, signal);
        },
        launch: (spec, box, record) => starts.launchFromMemory(spec, box, record),
        started: ({ boxId }) => controls.loadMemory(boxId),
      },
      otherwise: ({ boxId }) => starts.otherwise(boxId),
      close: async () => {
        controls.close();
        await starts.close();
      },
    });
    await driver.setUp();
    return driver;
  } catch (error) {
    throw asBoxledgerError(error, 'cannot set the qemu driver up');
  }
};

/** Root's machines, as another user, may have to go through these; what is in them is shut to everybody else. */
const directoryMode = process.getuid?.() === 0 ? 0o711 : 0o700;

interface HostOfMachines {
  readonly layout: Layout;
  /** Of machines that are no box's yet. */
  readonly waiting: Layout;
  readonly base: MachineBase;
  readonly owner: Owner;
  readonly images: ImageStore;
  readonly cgroups: CgroupHost;
  readonly isolation: Isolation;
  /** Paths of the shim, and of an empty disk. */
  readonly shim: string;
  readonly blank: string;
}

/** Makes the directories, and finds out what this host has for machines. */
const examine = async (options: QemuDriverOptions): Promise<HostOfMachines> => {
  await mkdir(join(options.dataDir, 'run'), { recursive: true, mode: directoryMode });
  const dataDir = await realpath(options.dataDir);
  const layout = layoutOf(dataDir);
  for (const directory of [layout.boxes, layout.scripts])
    await mkdir(directory, { recursive: true, mode: directoryMode });
  const waiting = layoutOf(join(dataDir, 'ready'));
  await endAllWaiting(waiting, directoryMode);
  const confinement = await confinementOf(options.confined);
  // Of a confined machine, everything has a short path.
  if (!confinement.confined) refuseLongPaths(waiting);
  const accelerator = await chooseAccelerator(options.accelerator ?? 'auto');
  const cgroups = await findCgroups();
  const serviceIsRoot = process.getuid?.() === 0;
  const script = (name: string, text: string) => installFile(layout.scripts, name, 'sh', Buffer.from(text));
  return {
    ...{ layout, waiting },
    base: {
      ...{ serviceIsRoot, accelerator, confined: confinement.confined },
      stage: await script('stage', stage),
      tscKhz: await tscKhz(),
    },
    owner: ownerOf(serviceIsRoot),
    images: new ImageStore(dataDir),
    cgroups,
    isolation: isolationOf(confinement, accelerator, serviceIsRoot, cgroups),
    shim: await script('shim', shim),
    blank: await blankDisk(dataDir),
  };
};

/** What machines can go on from, so that they need not boot. */
const warmStarts = async (
  { dataDir, warmUp, readyMachines = 0, templateFailed, machineStands }: QemuDriverOptions,
  { base, owner, blank, layout, waiting }: HostOfMachines,
  sockets: string,
  ofBoxes: Pick<ReadyMachinesOptions, 'boot' | 'controls'>,
): Promise<Pick<MachineStartsOptions, 'templates' | 'ready'>> => {
  if (warmUp === undefined) return { templates: undefined, ready: undefined };
  const failed = templateFailed ?? (() => undefined);
  const of = { base, owner, blank, warmUp };
  const making = { ...of, work: join(layout.run, 'template'), sockets: join(sockets, 'template') };
  const templates = new Templates({
    dataDir,
    host: await hostKey(base),
    make: (key, directory, signal) => makeTemplate(making, key, directory, signal),
    failed,
  });
  await templates.setUp();
  const bounds = { max: readyMachines, failed, stands: machineStands ?? (() => undefined) };
  return {
    templates,
    ready: new ReadyMachines({ ...of, ...ofBoxes, ...bounds, templates, layout: waiting }),
  };
};

const imageForNew = async (images: ImageStore) => {
  const image = await images.current();
  if (image !== undefined) return image;
  throw new BoxledgerError('InvalidState', 'this host has no image to make boxes of', {
    help: 'Build one: boxledger image build',
  });
};

const refuseSmall = ({ options }: BootSpec): void => {
  if (options.memoryMib >= machineMemoryMinMib) return;
  throw new BoxledgerError('InvalidArgument', `a machine needs ${machineMemoryMinMib} MiB of memory`, {
    details: { 'options.memoryMib': options.memoryMib },
    help: 'Make a box with more.',
  });
};

/** The same at each start of the box, and nobody else's. */
const machineIdOf = (boxId: BoxId): string =>
  createHash('sha256').update(`machine-id ${boxId}`).digest('hex').slice(0, 32);
