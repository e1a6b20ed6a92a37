import { createHash } from 'node:crypto';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import type { BootSpec, Driver } from '../driver.ts';
import type { BootStep } from '../supervised/boot.ts';
import { findCgroups } from '../supervised/cgroup.ts';
import { ownerOf } from '../supervised/disk.ts';
import type { DiskStep } from '../supervised/disk-context.ts';
import { asBoxledgerError } from '../supervised/errno-error.ts';
import { installFile } from '../supervised/install.ts';
import { layoutOf } from '../supervised/layout.ts';
import { shim } from '../supervised/shim.ts';
import { socketRoot } from '../supervised/socket-root.ts';
import { stage } from '../supervised/stage.ts';
import { SupervisedDriver } from '../supervised/supervised-driver.ts';
import { type Accelerator, chooseAccelerator, tscKhz } from './accelerator.ts';
import { blankDisk } from './blank-disk.ts';
import { confinementOf, isolationOf } from './confinement.ts';
import { ImageStore } from './image/image-store.ts';
import { layerFormat } from './layer-format.ts';
import { makeDisk } from './layered-disk.ts';
import { MachineControls } from './machine-controls.ts';
import { machineMemoryMinMib } from './machine-plan.ts';
import { hostKey, MachineStarts } from './machine-starts.ts';
import { makeTemplate, type TemplateMaking } from './make-template.ts';
import { Templates } from './templates.ts';

export interface QemuDriverOptions {
  /** Everything that lasts is kept below; made when missing. */
  readonly dataDir: string;
  /** By default what works here, best first. */
  readonly accelerator?: Accelerator | 'auto' | undefined;
  /** See `TemplateMaking`. Undefined: there are no templates, and every machine boots. */
  readonly warmUp?: TemplateMaking['warmUp'] | undefined;
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
    const serviceIsRoot = process.getuid?.() === 0;
    const mode = serviceIsRoot ? 0o711 : 0o700;
    await mkdir(join(options.dataDir, 'run'), { recursive: true, mode });
    const dataDir = await realpath(options.dataDir);
    const layout = layoutOf(dataDir);
    await mkdir(layout.boxes, { recursive: true, mode });
    await mkdir(layout.scripts, { recursive: true, mode });
    const [confinement, accelerator, cgroups, blank] = await Promise.all([
      confinementOf(options.confined),
      chooseAccelerator(options.accelerator ?? 'auto'),
      findCgroups(),
      blankDisk(dataDir),
    ]);
    const script = (name: string, text: string) => installFile(layout.scripts, name, 'sh', Buffer.from(text));
    const base = {
      serviceIsRoot,
      accelerator,
      confined: confinement.confined,
      stage: await script('stage', stage),
      tscKhz: await tscKhz(),
    };
    const owner = ownerOf(serviceIsRoot);
    const images = new ImageStore(dataDir);
    const sockets = socketRoot(layout);
    const { warmUp } = options;
    const [work, socketsOfWork] = [join(layout.run, 'template'), join(sockets, 'template')];
    const making = { base, owner, blank, work, sockets: socketsOfWork };
    const starts = new MachineStarts({
      base,
      images,
      owner,
      templates:
        warmUp &&
        new Templates({
          dataDir,
          host: await hostKey(base),
          make: (key, directory) => makeTemplate({ ...making, warmUp }, key, directory),
          failed: options.templateFailed ?? (() => undefined),
        }),
      goOn: (boxId) => controls.goOn(boxId),
    });
    const controls = new MachineControls(sockets, (boxId) => starts.answered(boxId));
    await starts.setUp();
    const passed = options.passed ?? (() => undefined);
    const driver = new SupervisedDriver({
      kind: 'qemu',
      layout,
      isolation: isolationOf(confinement, accelerator, serviceIsRoot, cgroups),
      guestSocket: (boxId) => join(sockets, boxId, 'guest.sock'),
      identity: ({ boxId, name }) => ({ hostname: name, machineId: machineIdOf(boxId) }),
      controls,
      format: layerFormat({ owner, images, switchTo: (boxId, active) => controls.switchTo(boxId, active) }),
      passed,
      notCleared: options.notCleared ?? (() => undefined),
      boot: {
        mode: 'qemu',
        shim: await script('shim', shim),
        cgroups,
        sockets: ['agent.sock', 'qmp.sock'],
        overheadMib,
        owner,
        directoryMode: confinement.confined ? 0o700 : mode,
        makeDisk: async (path, spec) => {
          refuseSmall(spec);
          await makeDisk(path, (await imageForNew(images)).digest, blank, owner);
        },
        launch: async (spec, box, record) => {
          refuseSmall(spec);
          return starts.launch(spec, box, record);
        },
        started: ({ boxId }) => starts.started(boxId),
        passed,
      },
      otherwise: ({ boxId }) => starts.otherwise(boxId),
    });
    await driver.setUp();
    return driver;
  } catch (error) {
    throw asBoxledgerError(error, 'cannot set the qemu driver up');
  }
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
