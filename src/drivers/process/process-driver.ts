import { openSync } from 'node:fs';
import { mkdir, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { BoxProcess, ResourceUsage } from '../../events/box-usage.ts';
import type { Exit, ProcessIdentity } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { type BoxId, boxIdPattern, boxId as parseBoxId } from '../../kernel/ids.ts';
import { KeyedLock } from '../../kernel/keyed-lock.ts';
import { sameProcess } from '../../os/process-identity.ts';
import { boxRuns } from '../disk-errors.ts';
import type { Booted, BootSpec, Driver, Isolation, Observation } from '../driver.ts';
import { ForwardedDisks } from '../forwarded-disks.ts';
import { type BootContext, type BootStep, bootBox } from './boot.ts';
import { readBootRecord, readExit, readIdentity } from './boot-record.ts';
import { endBox, settle } from './box-state.ts';
import { findCgroups } from './cgroup.ts';
import { followConsole } from './console-follow.ts';
import { consoleTail } from './console-tail.ts';
import { ownerFor, removeDiskOf } from './disk.ts';
import type { DiskStep } from './disk-context.ts';
import { asBoxledgerError } from './errno-error.ts';
import { removeTree } from './files.ts';
import { refuseMoreThanTheHostHas } from './host-limits.ts';
import type { IsolationMode } from './launch-plan.ts';
import { type Layout, layoutOf } from './layout.ts';
import { lifelineBroken } from './lifeline.ts';
import { chooseMode, directoryModeFor, isolationOf } from './machine.ts';
import { type BoxProcesses, freezeBox, isBoxFrozen, terminateBox, unfreezeBox } from './members.ts';
import { ProcessDisks } from './process-disks.ts';
import { installFiles } from './scripts.ts';
import { processesOf, usageOf } from './usage.ts';

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
    const context = {
      base: { ...base, mode: chosen.mode },
      cgroups,
      passed: options.passed ?? (() => undefined),
      notCleared: options.notCleared ?? (() => undefined),
    };
    const driver = new ProcessDriver(
      layout,
      context,
      isolationOf(chosen, serviceIsRoot, cgroups),
      socketRoot(layout),
    );
    await driver.setUp();
    return driver;
  } catch (error) {
    throw asBoxledgerError(error, 'cannot set the process driver up');
  }
};

/** A unix socket's address holds 108 bytes on Linux, 104 on others, the final NUL included. */
const socketPathMaxBytes = process.platform === 'linux' ? 107 : 103;

/** Where sockets are reached below: the run directory, or, when its path is too long for that, a descriptor of it. */
const socketRoot = (layout: Layout): string => {
  const longestBytes = Buffer.byteLength(layout.box(parseBoxId('bx_0000000000000000')).socket);
  if (longestBytes <= socketPathMaxBytes) return layout.run;
  if (process.platform === 'linux') return `/proc/self/fd/${openSync(layout.run, 'r')}`;
  throw new BoxledgerError(
    'InvalidArgument',
    `the data directory's path is too long for sockets: ${layout.run}`,
    { help: `Choose one that is ${longestBytes - socketPathMaxBytes} bytes shorter.` },
  );
};

interface DriverContext extends BootContext {
  readonly passed: (step: BootStep | DiskStep) => void;
  readonly notCleared: (boxId: BoxId, error: unknown) => void;
}

class ProcessDriver extends ForwardedDisks implements Driver {
  readonly kind = 'process';
  protected readonly disks: ProcessDisks;
  readonly #layout: Layout;
  readonly #context: BootContext;
  readonly #isolation: Isolation;
  readonly #socketRoot: string;
  readonly #lock = new KeyedLock<BoxId>();

  constructor(layout: Layout, context: DriverContext, isolation: Isolation, socketRoot: string) {
    super();
    this.#layout = layout;
    this.#context = context;
    this.disks = new ProcessDisks({
      layout,
      owner: ownerFor(context.base),
      directoryMode: directoryModeFor(context.base),
      passed: context.passed,
      notCleared: context.notCleared,
      atRest: (boxId, work) => this.#atRest(boxId, work),
    });
    this.#isolation = isolation;
    this.#socketRoot = socketRoot;
  }

  setUp(): Promise<void> {
    return this.disks.setUp();
  }

  async isolation(): Promise<Isolation> {
    return this.#isolation;
  }

  async boot(spec: BootSpec, signal: AbortSignal): Promise<Booted> {
    refuseMoreThanTheHostHas(spec);
    return this.#alone(
      spec.boxId,
      'boot',
      async () => {
        signal.throwIfAborted();
        const box = this.#layout.box(spec.boxId);
        const state = await settle(spec.boxId, box);
        if (state.kind === 'up' && state.record.generation === spec.generation)
          return { process: state.processes.main, tookOver: true, stagesMs: {} };
        await endBox(spec.boxId, box);
        signal.throwIfAborted();
        return { ...(await bootBox(this.#context, box, spec, signal)), tookOver: false };
      },
      signal,
    );
  }

  async observe(boxId: BoxId): Promise<Observation> {
    return this.#alone(boxId, 'observe', async () => {
      const state = await settle(boxId, this.#layout.box(boxId));
      switch (state.kind) {
        case 'none':
          return { kind: 'absent' };
        case 'ended':
          return { kind: 'ended', generation: state.record.generation, exit: state.exit };
        case 'up':
          return {
            kind: 'running',
            generation: state.record.generation,
            process: state.processes.main,
            frozen: await isBoxFrozen(state.processes),
          };
        default:
          return state satisfies never;
      }
    });
  }

  async list(): Promise<readonly BoxId[]> {
    const names = await Promise.all([readdir(this.#layout.boxes), readdir(this.#layout.run)]);
    return [...new Set(names.flat())].filter((name) => boxIdPattern.test(name)).map(parseBoxId);
  }

  async ended(boxId: BoxId, process: ProcessIdentity, signal: AbortSignal): Promise<Exit> {
    const box = this.#layout.box(boxId);
    const record = await readBootRecord(box);
    const attempt = record && box.attempt(record.nonce);
    const main = record && attempt && (await readIdentity(attempt.main, record.bootId));
    // What a later boot has replaced has ended, and nobody knows how any more.
    if (attempt === undefined || main === undefined || !sameProcess(main, process))
      return { kind: 'unknown' };
    await lifelineBroken(attempt.lifeline, signal);
    return this.#alone(boxId, 'wait for the end', async () => {
      const exit = await readExit(attempt);
      if (exit !== undefined) return exit;
      const state = await settle(boxId, box);
      return state.kind === 'ended' && state.record.nonce === record?.nonce
        ? state.exit
        : { kind: 'unknown' };
    });
  }

  async freeze(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#alone(boxId, 'freeze', async () => freezeBox(await this.#running(boxId, process)));
  }

  async unfreeze(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#alone(boxId, 'unfreeze', async () => unfreezeBox(await this.#running(boxId, process)));
  }

  async terminate(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#alone(boxId, 'terminate', async () => {
      const state = await settle(boxId, this.#layout.box(boxId));
      if (state.kind === 'up' && sameProcess(state.processes.main, process))
        await terminateBox(state.processes);
    });
  }

  async kill(boxId: BoxId): Promise<void> {
    await this.#alone(boxId, 'kill', () => endBox(boxId, this.#layout.box(boxId)));
  }

  async removeDisk(boxId: BoxId): Promise<void> {
    await this.disks.alone(boxId, 'remove the disk of', undefined, (box) =>
      this.#atRest(boxId, async () => {
        await endBox(boxId, box);
        await removeDiskOf(box);
        await removeTree(box.run);
      }),
    );
  }

  guestAddress(boxId: BoxId): string {
    return `unix:${join(this.#socketRoot, boxId, 'agent.sock')}`;
  }

  async consoleTail(boxId: BoxId, maxBytes: number): Promise<string> {
    const box = this.#layout.box(boxId);
    const record = await readBootRecord(box);
    return record === undefined ? '' : consoleTail(box.attempt(record.nonce).console, maxBytes);
  }

  followConsole(boxId: BoxId, maxBytes: number, signal: AbortSignal): AsyncIterable<string> {
    return followConsole(this.#layout.box(boxId), maxBytes, signal);
  }

  async processes(boxId: BoxId): Promise<readonly BoxProcess[]> {
    return this.#alone(boxId, 'look into', async () => {
      const state = await settle(boxId, this.#layout.box(boxId));
      return state.kind === 'up' ? processesOf(state.processes) : [];
    });
  }

  async usage(boxId: BoxId): Promise<ResourceUsage | undefined> {
    return this.#alone(boxId, 'measure', async () => {
      const state = await settle(boxId, this.#layout.box(boxId));
      return state.kind === 'up' ? usageOf(state.processes) : undefined;
    });
  }

  async #running(boxId: BoxId, process: ProcessIdentity): Promise<BoxProcesses> {
    const state = await settle(boxId, this.#layout.box(boxId));
    if (state.kind === 'up' && sameProcess(state.processes.main, process)) return state.processes;
    throw new BoxledgerError('InvalidState', `the process of box ${boxId} has ended`, {
      details: { pid: process.pid },
    });
  }

  async #atRest<Result>(boxId: BoxId, work: () => Promise<Result>): Promise<Result> {
    return this.#alone(boxId, 'work on the disk of', async () => {
      if ((await settle(boxId, this.#layout.box(boxId))).kind !== 'up') return work();
      throw boxRuns(boxId);
    });
  }

  /** One thing at a time is done to a box: each begins with what the one before left. */
  async #alone<Result>(
    boxId: BoxId,
    doing: string,
    work: () => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    try {
      return await this.#lock.run(boxId, work);
    } catch (error) {
      throw asBoxledgerError(error, `cannot ${doing} box ${boxId}`, signal);
    }
  }
}
