import { setTimeout as delay } from 'node:timers/promises';
import type { ResourceUsage } from '../events/box-usage.ts';
import type { Exit, ProcessIdentity } from '../events/process.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';
import { KeyedLock } from '../kernel/keyed-lock.ts';
import { boxRuns } from './disk-errors.ts';
import type { Booted, BootSpec, Driver, Isolation, Observation } from './driver.ts';
import { ForwardedDisks } from './forwarded-disks.ts';
import { type SimDiskOperation, SimDisks } from './sim-disks.ts';
import { hasEnded, killed, type SimBox, SimWorld } from './sim-world.ts';

export type SimOperation =
  | 'boot'
  | 'freeze'
  | 'unfreeze'
  | 'terminate'
  | 'kill'
  | 'removeDisk'
  | SimDiskOperation;

export interface SimOptions {
  /** Share one, and drivers see the same boxes; a world of its own by default. */
  readonly world?: SimWorld | undefined;
  /** How long each operation takes, in milliseconds; 0 by default. */
  readonly latencyMs?: Partial<Readonly<Record<SimOperation, number>>> | undefined;
  /** Called before each operation takes effect; what it returns is thrown in its place. */
  readonly fail?: ((operation: SimOperation, boxId: BoxId) => BoxledgerError | undefined) | undefined;
}

export interface SimDriver extends Driver {
  readonly kind: 'sim';
  /** Lets the box end by itself. */
  exit(boxId: BoxId, exit: Exit): void;
}

/** Boxes that are only said to run: for benchmarks and simulation. No processes, no guest. */
export const createSimDriver = (options: SimOptions = {}): SimDriver => new SimulatedDriver(options);

const bootId = 'sim';

class SimulatedDriver extends ForwardedDisks implements SimDriver {
  readonly kind = 'sim';
  protected readonly disks: SimDisks;
  readonly #world: SimWorld;
  readonly #options: SimOptions;
  readonly #lock = new KeyedLock<BoxId>();

  constructor(options: SimOptions) {
    super();
    this.#options = options;
    this.#world = options.world ?? new SimWorld();
    this.disks = new SimDisks(this.#world, (operation, boxId, signal) =>
      this.#take(operation, boxId, signal),
    );
  }

  async isolation(): Promise<Isolation> {
    return { isolates: false, measures: [], missing: ['Boxes are simulated: nothing runs in them.'] };
  }

  boot(spec: BootSpec, signal: AbortSignal): Promise<Booted> {
    return this.#lock.run(spec.boxId, () => this.#boot(spec, signal));
  }

  async #boot(spec: BootSpec, signal: AbortSignal): Promise<Booted> {
    const before = this.#world.get(spec.boxId);
    if (!hasEnded(before) && before.generation === spec.generation)
      return { process: identityOf(before), tookOver: true, stagesMs: {}, identity: null };
    await this.#kill(spec.boxId);
    signal.throwIfAborted();
    this.#world.set(spec.boxId, { disk: this.#world.get(spec.boxId).disk ?? {} });
    await this.#take('boot', spec.boxId, signal);
    this.#world.set(spec.boxId, {
      pid: this.#world.newPid(),
      generation: spec.generation,
      state: 'running',
    });
    return {
      process: identityOf(this.#world.get(spec.boxId)),
      tookOver: false,
      identity: null,
      stagesMs: { disk: 0, spawn: this.#options.latencyMs?.boot ?? 0 },
    };
  }

  async observe(boxId: BoxId): Promise<Observation> {
    const box = this.#world.get(boxId);
    const { generation, exit } = box;
    if (box.state === 'absent') return { kind: 'absent' };
    if (box.state === 'ended') return { kind: 'ended', generation, exit };
    return { kind: 'running', generation, process: identityOf(box), frozen: box.state === 'frozen' };
  }

  async list(): Promise<readonly BoxId[]> {
    return this.#world.ids();
  }

  async ended(boxId: BoxId, process: ProcessIdentity, signal: AbortSignal): Promise<Exit> {
    signal.throwIfAborted();
    return new Promise<Exit>((resolve, reject) => {
      const settle = () => {
        const box = this.#world.get(boxId);
        const isThatOne = fits(box, process);
        if (isThatOne && !hasEnded(box)) return;
        stop();
        resolve(isThatOne ? box.exit : { kind: 'unknown' });
      };
      const abort = () => {
        stop();
        reject(signal.reason);
      };
      const unwatch = this.#world.watch(boxId, settle);
      const stop = () => {
        unwatch();
        signal.removeEventListener('abort', abort);
      };
      signal.addEventListener('abort', abort, { once: true });
      settle();
    });
  }

  freeze(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    return this.#turn('freeze', boxId, process, 'frozen');
  }

  /** Nothing of it has memory. */
  suspend(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    return this.freeze(boxId, process);
  }

  unfreeze(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    return this.#turn('unfreeze', boxId, process, 'running');
  }

  async terminate(boxId: BoxId, process: ProcessIdentity): Promise<void> {
    await this.#take('terminate', boxId);
    const box = this.#world.get(boxId);
    // A frozen box hears nothing before it is unfrozen; a simulated one forgets it.
    if (fits(box, process) && box.state === 'running')
      this.exit(boxId, { kind: 'signal', signal: 'SIGTERM' });
  }

  kill(boxId: BoxId): Promise<void> {
    return this.#lock.run(boxId, () => this.#kill(boxId));
  }

  async #kill(boxId: BoxId): Promise<void> {
    await this.#take('kill', boxId);
    if (!hasEnded(this.#world.get(boxId))) this.exit(boxId, killed);
  }

  async removeDisk(boxId: BoxId): Promise<void> {
    await this.#take('removeDisk', boxId);
    if (!hasEnded(this.#world.get(boxId))) throw boxRuns(boxId);
    this.#world.remove(boxId);
  }

  exit(boxId: BoxId, exit: Exit): void {
    this.#world.set(boxId, { state: 'ended', exit });
  }

  guestAddress(): null {
    return null;
  }

  async consoleTail(): Promise<string> {
    return '';
  }

  async *followConsole(): AsyncGenerator<string> {
    yield '';
  }

  async close(): Promise<void> {
    // It does nothing by itself.
  }

  async processes(): Promise<readonly []> {
    return [];
  }

  async usage(boxId: BoxId): Promise<ResourceUsage | undefined> {
    return hasEnded(this.#world.get(boxId)) ? undefined : { cpuMs: 0, memoryBytes: 0, processes: 1 };
  }

  /** Lets the operation's time pass, then fails it if it is to fail. */
  async #take(operation: SimOperation, boxId: BoxId, signal?: AbortSignal): Promise<void> {
    const latencyMs = this.#options.latencyMs?.[operation] ?? 0;
    if (latencyMs > 0)
      await delay(latencyMs, undefined, signal === undefined ? {} : { signal }).catch((error) => {
        throw signal?.aborted ? signal.reason : error;
      });
    const failure = this.#options.fail?.(operation, boxId);
    if (failure !== undefined) throw failure;
  }

  #turn(
    operation: SimOperation,
    boxId: BoxId,
    process: ProcessIdentity,
    state: SimBox['state'],
  ): Promise<void> {
    return this.#lock.run(boxId, async () => {
      await this.#take(operation, boxId);
      const box = this.#world.get(boxId);
      if (!fits(box, process) || hasEnded(box))
        throw new BoxledgerError('InvalidState', `the process of box ${boxId} has ended`, {
          details: { pid: process.pid },
        });
      this.#world.set(boxId, { state });
    });
  }
}

const identityOf = ({ pid }: SimBox): ProcessIdentity => ({ pid, startTime: String(pid), bootId });

const fits = ({ pid }: SimBox, process: ProcessIdentity): boolean =>
  pid === process.pid && process.startTime === String(pid) && process.bootId === bootId;
