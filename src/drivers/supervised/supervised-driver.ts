import { readdir } from 'node:fs/promises';
import type { BoxProcess, ResourceUsage } from '../../events/box-usage.ts';
import type { Exit, ProcessIdentity } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { type BoxId, boxIdPattern, boxId as parseBoxId } from '../../kernel/ids.ts';
import { KeyedLock } from '../../kernel/keyed-lock.ts';
import { sameProcess } from '../../os/process-identity.ts';
import { boxRuns } from '../disk-errors.ts';
import type { Booted, BootSpec, Driver, Isolation, Observation } from '../driver.ts';
import { ForwardedDisks } from '../forwarded-disks.ts';
import { type BootContext, bootBox } from './boot.ts';
import { type BootRecord, readBootRecord } from './boot-record.ts';
import { type BoxState, endBox, settle } from './box-state.ts';
import { followConsole } from './console-follow.ts';
import { consoleTail } from './console-tail.ts';
import { removeDiskOf } from './disk.ts';
import type { DiskContext } from './disk-context.ts';
import { DiskDirectories } from './disk-directories.ts';
import { endOf } from './end-of-run.ts';
import { asBoxledgerError } from './errno-error.ts';
import { removeTree } from './files.ts';
import { refuseMoreThanTheHostHas } from './host-limits.ts';
import type { BoxLayout, Layout } from './layout.ts';
import type { BoxProcesses } from './members.ts';
import { type MemoryKeeping, Suspensions } from './suspensions.ts';
import { processesOf, usageOf } from './usage.ts';

/** What is done to a box that runs. */
export interface BoxControls {
  isFrozen(box: BoxProcesses): Promise<boolean>;
  freeze(box: BoxProcesses): Promise<void>;
  unfreeze(box: BoxProcesses): Promise<void>;
  terminate(box: BoxProcesses): Promise<void>;
  /** Called whenever it was found out which attempt at a boot runs; undefined: none. */
  seen?(boxId: BoxId, record: BootRecord | undefined): void;
}

export interface SupervisedOptions extends Pick<DiskContext, 'layout' | 'format' | 'passed' | 'notCleared'> {
  readonly kind: Driver['kind'];
  readonly boot: BootContext;
  readonly controls: BoxControls;
  readonly isolation: Isolation;
  /** What a machine is told of its box; undefined where boxes are none. */
  readonly identity?: (spec: BootSpec) => NonNullable<Booted['identity']>;
  /** Something that runs already becomes the box, which does not; undefined: nothing is there for that. */
  readonly standIn?: (
    spec: BootSpec,
    box: BoxLayout,
  ) => Promise<Pick<Awaited<ReturnType<typeof bootBox>>, 'record' | 'process'> | undefined>;
  /** Whether a boot that failed is to be tried once more, in another way. */
  readonly otherwise?: (spec: BootSpec) => Promise<boolean>;
  /** Undefined where memory cannot be kept. */
  readonly memory?: MemoryKeeping;
  readonly close?: () => Promise<void>;
  /** Path at which the host reaches the guest's agent. */
  readonly guestSocket: (boxId: BoxId) => string;
}

/**
 * Boxes that are each a process tree of the host, below a small shim that outlives the service (see shim.ts). What keeps them
 * apart, how they are stopped for a while, and what their disks are is for the driver's kind to say.
 */
export class SupervisedDriver extends ForwardedDisks implements Driver {
  readonly kind: Driver['kind'];
  readonly disks: DiskDirectories;
  readonly #layout: Layout;
  readonly #options: SupervisedOptions;
  readonly #lock = new KeyedLock<BoxId>();
  readonly #suspensions: Suspensions;

  constructor(options: SupervisedOptions) {
    super();
    this.kind = options.kind;
    this.#layout = options.layout;
    this.#options = options;
    this.#suspensions = new Suspensions(options);
    this.disks = new DiskDirectories({
      ...options,
      owner: options.boot.owner,
      directoryMode: options.boot.directoryMode,
      atRest: (boxId, work) => this.#atRest(boxId, work),
    });
  }

  setUp(): Promise<void> {
    return this.disks.setUp();
  }

  async isolation(): Promise<Isolation> {
    return this.#options.isolation;
  }

  async boot(spec: BootSpec, signal: AbortSignal): Promise<Booted> {
    refuseMoreThanTheHostHas(spec);
    const identity = this.#options.identity?.(spec) ?? null;
    return this.#alone(
      spec.boxId,
      'boot',
      async () => {
        signal.throwIfAborted();
        const box = this.#layout.box(spec.boxId);
        const state = await this.#settle(spec.boxId, box);
        if (state.kind === 'up' && state.record.generation === spec.generation) {
          await this.#options.boot.started?.(spec);
          return { process: state.process, tookOver: true, stagesMs: {}, identity };
        }
        await this.#end(spec.boxId, box);
        signal.throwIfAborted();
        const { record, ...booted } = await this.#bootBox(box, spec, signal);
        this.#options.controls.seen?.(spec.boxId, record);
        return { ...booted, tookOver: false, identity };
      },
      signal,
    );
  }

  async observe(boxId: BoxId): Promise<Observation> {
    return this.#alone(boxId, 'observe', async () => {
      const state = await this.#settle(boxId, this.#layout.box(boxId));
      switch (state.kind) {
        case 'none':
          return { kind: 'absent' };
        case 'ended':
          return { kind: 'ended', generation: state.record.generation, exit: state.exit };
        case 'up':
          return {
            kind: 'running',
            generation: state.record.generation,
            process: state.process,
            frozen: await this.#options.controls.isFrozen(state.processes),
          };
        case 'suspended':
          return {
            kind: 'running',
            generation: state.record.generation,
            process: state.record.process,
            frozen: true,
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

  ended(boxId: BoxId, process: ProcessIdentity, signal: AbortSignal): Promise<Exit> {
    const box = this.#layout.box(boxId);
    const lookAt = <Result>(look: (state: BoxState) => Result) =>
      this.#alone(boxId, 'wait for the end', async () => look(await this.#settle(boxId, box)));
    return endOf(box, process, { lookAt, awoken: () => this.#suspensions.awoken(boxId, signal), signal });
  }

  async freeze(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#alone(boxId, 'freeze', async () => {
      const box = await this.#running(boxId, process);
      if (box !== 'suspended') await this.#options.controls.freeze(box);
    });
  }

  async unfreeze(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#alone(boxId, 'unfreeze', async () => {
      if ((await this.#running(boxId, process)) === 'suspended') await this.#suspensions.awaken(boxId);
      const box = await this.#running(boxId, process);
      if (box !== 'suspended') await this.#options.controls.unfreeze(box);
    });
  }

  async suspend(boxId: BoxId, process: ProcessIdentity, signal: AbortSignal): Promise<void> {
    await this.#alone(
      boxId,
      'suspend',
      async () => {
        const box = await this.#running(boxId, process);
        if (box === 'suspended') return;
        await this.#suspensions.suspend(box, process, signal);
        await this.#settle(boxId, this.#layout.box(boxId));
      },
      signal,
    );
  }

  async terminate(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#alone(boxId, 'terminate', async () => {
      const state = await this.#settle(boxId, this.#layout.box(boxId));
      if (state.kind === 'up' && sameProcess(state.process, process))
        await this.#options.controls.terminate(state.processes);
    });
  }

  async kill(boxId: BoxId): Promise<void> {
    await this.#alone(boxId, 'kill', () => this.#end(boxId, this.#layout.box(boxId)));
  }

  async removeDisk(boxId: BoxId): Promise<void> {
    await this.disks.alone(boxId, 'remove the disk of', undefined, (box) =>
      this.#atRest(boxId, async () => {
        await this.#end(boxId, box);
        await removeDiskOf(box);
        await removeTree(box.run);
      }),
    );
  }

  guestAddress(boxId: BoxId): string {
    return `unix:${this.#options.guestSocket(boxId)}`;
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
      const state = await this.#settle(boxId, this.#layout.box(boxId));
      return state.kind === 'up' ? processesOf(state.processes) : [];
    });
  }

  async usage(boxId: BoxId): Promise<ResourceUsage | undefined> {
    return this.#alone(boxId, 'measure', async () => {
      const state = await this.#settle(boxId, this.#layout.box(boxId));
      return state.kind === 'up' ? usageOf(state.processes) : undefined;
    });
  }

  async close(): Promise<void> {
    await this.#options.close?.();
  }

  async #bootBox(box: BoxLayout, spec: BootSpec, signal: AbortSignal) {
    const { boot, standIn, otherwise } = this.#options;
    const begun = performance.now();
    const taken = await standIn?.(spec, box);
    if (taken !== undefined) {
      if (signal.aborted) await this.#end(spec.boxId, box);
      signal.throwIfAborted();
      return { ...taken, stagesMs: { spawn: Math.round(performance.now() - begun) } };
    }
    try {
      return await bootBox(boot, box, spec, signal);
    } catch (error) {
      if (signal.aborted || (await otherwise?.(spec)) !== true) throw error;
      return bootBox(boot, box, spec, signal);
    }
  }

  async #running(boxId: BoxId, process: ProcessIdentity): Promise<BoxProcesses | 'suspended'> {
    const state = await this.#settle(boxId, this.#layout.box(boxId));
    if (state.kind === 'up' && sameProcess(state.process, process)) return state.processes;
    if (state.kind === 'suspended' && sameProcess(state.record.process, process)) return 'suspended';
    throw new BoxledgerError('InvalidState', `the process of box ${boxId} has ended`, {
      details: { pid: process.pid },
    });
  }

  async #atRest<Result>(boxId: BoxId, work: () => Promise<Result>): Promise<Result> {
    return this.#alone(boxId, 'work on the disk of', async () => {
      const { kind } = await this.#settle(boxId, this.#layout.box(boxId));
      if (kind !== 'up' && kind !== 'suspended') return work();
      throw boxRuns(boxId);
    });
  }

  async #settle(boxId: BoxId, box: BoxLayout): Promise<BoxState> {
    const state = await settle(boxId, box);
    this.#options.controls.seen?.(boxId, state.kind === 'up' ? state.record : undefined);
    return state;
  }

  async #end(boxId: BoxId, box: BoxLayout): Promise<void> {
    await endBox(boxId, box);
    this.#options.controls.seen?.(boxId, undefined);
    this.#suspensions.tell(boxId);
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
