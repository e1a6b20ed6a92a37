import { chown, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { BoxId } from '../../kernel/ids.ts';
import type { BootSpec, Driver } from '../driver.ts';
import type { BootStep, LaunchPlan } from '../supervised/boot.ts';
import type { BootRecord } from '../supervised/boot-record.ts';
import { findCgroups } from '../supervised/cgroup.ts';
import { type Owner, ownerOf } from '../supervised/disk.ts';
import type { DiskStep } from '../supervised/disk-context.ts';
import { asBoxledgerError } from '../supervised/errno-error.ts';
import { type BoxLayout, layoutOf } from '../supervised/layout.ts';
import { freezeBox, isBoxFrozen, terminateBox, unfreezeBox } from '../supervised/members.ts';
import { socketRoot } from '../supervised/socket-root.ts';
import { type BoxControls, SupervisedDriver } from '../supervised/supervised-driver.ts';
import { treeFormat } from '../supervised/tree-format.ts';
import { type IsolationMode, type LaunchBase, launchPlan, writeEtc } from './launch-plan.ts';
import { chooseMode, directoryModeFor, isolationOf } from './machine.ts';
import { installFiles } from './scripts.ts';

export interface ProcessDriverOptions {
  /** Everything that lasts is kept below; made when missing. */
  readonly dataDir: string;
  /** The guest agent, one JavaScript file. */
  readonly agentPath: string;
  /** The Node that runs it in the box; by default the one that runs this. */
  readonly nodePath?: string | undefined;
  /** Use this way to keep boxes apart and no other; by default the best that works here. */
  readonly mode?: IsolationMode | undefined;
  /** Told of a box of which something half done could not be cleared away; it is tried again before the next work on its disk. */
  readonly notCleared?: ((boxId: BoxId, error: unknown) => void) | undefined;
  /** Called after each step of a boot or of work on a disk, for tests that let the service die there. */
  readonly passed?: ((step: BootStep | DiskStep) => void) | undefined;
}

/**
 * Boxes as processes of the host: each a process tree in namespaces of its own where the machine allows it, below a small
 * shim that outlives the service. `boxes/ID/disk` in the data directory is the box's home and all of it that lasts.
 * Throws `Unsupported` when no box could run here.
 */
export const createProcessDriver = async (options: ProcessDriverOptions): Promise<Driver> => {
  try {
    const serviceIsRoot = process.getuid?.() === 0;
    // Root's boxes, as another user, may have to go through these; what is in them is shut to everybody else.
    const mode = serviceIsRoot ? 0o711 : 0o700;
    await mkdir(join(options.dataDir, 'run'), { recursive: true, mode });
    const dataDir = await realpath(options.dataDir);
    const layout = layoutOf(dataDir);
    await mkdir(layout.boxes, { recursive: true, mode });
    const scripts = await installFiles(layout.scripts, options.agentPath, mode);
    const base = {
      serviceIsRoot,
      scripts,
      nodePath: await realpath(options.nodePath ?? process.execPath),
      agentPath: scripts.agent,
    };
    const [cgroups, chosen] = await Promise.all([findCgroups(), chooseMode(base, dataDir, options.mode)]);
    const launchBase = { ...base, mode: chosen.mode };
    const passed = options.passed ?? (() => undefined);
    const sockets = socketRoot(layout);
    const driver = new SupervisedDriver({
      kind: 'process',
      layout,
      isolation: isolationOf(chosen, serviceIsRoot, cgroups),
      guestSocket: (boxId) => join(sockets, boxId, 'agent.sock'),
      controls: processControls,
      format: treeFormat(),
      passed,
      notCleared: options.notCleared ?? (() => undefined),
      boot: {
        mode: chosen.mode,
        shim: scripts.shim,
        cgroups,
        sockets: ['agent.sock'],
        overheadMib: 0,
        owner: ownerOf(serviceIsRoot),
        directoryMode: directoryModeFor(launchBase),
        makeDisk: (path) => makeHome(path, ownerOf(serviceIsRoot)),
        launch: (spec, box, record) => launch(launchBase, spec, box, record),
        passed,
      },
    });
    await driver.setUp();
    return driver;
  } catch (error) {
    throw asBoxledgerError(error, 'cannot set the process driver up');
  }
};

const processControls: BoxControls = {
  isFrozen: isBoxFrozen,
  freeze: (box) => freezeBox(box),
  unfreeze: (box) => unfreezeBox(box),
  terminate: terminateBox,
};

/** An empty home directory. */
const makeHome = async (path: string, owner: Owner): Promise<void> => {
  await mkdir(path, { mode: 0o700 });
  if (owner !== undefined) await chown(path, owner, owner);
};

const launch = async (
  base: LaunchBase,
  { boxId, name, options }: BootSpec,
  box: BoxLayout,
  { nonce }: BootRecord,
): Promise<LaunchPlan> => {
  const target = {
    boxId,
    hostname: name,
    network: options.network,
    disk: box.disk,
    nonce,
    attempt: box.attempt(nonce),
  };
  await writeEtc(base, target);
  return launchPlan(base, target);
};
