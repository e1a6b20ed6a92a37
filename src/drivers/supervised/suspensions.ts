import { EventEmitter, once } from 'node:events';
import { boxOptionsSchema } from '../../events/box-options.ts';
import type { ProcessIdentity } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import { type BootContext, bootBox } from './boot.ts';
import type { Layout } from './layout.ts';
import type { BoxProcesses } from './members.ts';
import { checkMemory, discardMemory, keepMemory, readSuspension } from './suspension.ts';

/** How the memory of a box is kept, and gone on from. */
export interface MemoryKeeping {
  /** Of a box that is frozen, to a path at which nothing is. */
  save(box: BoxProcesses, path: string, signal: AbortSignal): Promise<void>;
  /** Starts a box that has its memory at `box.memory`, and stands still. */
  readonly launch: BootContext['launch'];
  readonly started: NonNullable<BootContext['started']>;
}

interface SuspensionsOptions {
  readonly layout: Layout;
  readonly boot: BootContext;
  readonly controls: { freeze(box: BoxProcesses): Promise<void> };
  /** Undefined where memory cannot be kept. */
  readonly memory?: MemoryKeeping;
}

/** Suspends boxes, and lets them go on. Each call is made while nothing else is done to the box. */
export class Suspensions {
  readonly #options: SuspensionsOptions;
  readonly #told = new EventEmitter().setMaxListeners(0);

  constructor(options: SuspensionsOptions) {
    this.#options = options;
  }

  /** Keeps the memory of a box that runs, which ends with the next look at it. */
  async suspend(running: BoxProcesses, process: ProcessIdentity, signal: AbortSignal): Promise<void> {
    const { layout, controls, boot, memory } = this.#options;
    const { generation, size } = running.record;
    if (memory === undefined || size === undefined)
      throw new BoxledgerError('Unsupported', 'the memory of this box cannot be kept on disk', {
        help: 'Pause it without, or start it again on a driver that can (qemu).',
      });
    await controls.freeze(running);
    const record = { generation, process, size };
    const save = (path: string) => memory.save(running, path, signal);
    await keepMemory(layout.box(running.boxId), record, boot.owner, save).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error;
    });
  }

  /** Lets a suspended box go on from its memory, as far as that it stands still. */
  async awaken(boxId: BoxId): Promise<void> {
    const { layout, boot, memory } = this.#options;
    const box = layout.box(boxId);
    const suspended = await readSuspension(box);
    if (memory === undefined || suspended === undefined)
      throw new Error(`box ${boxId} has no memory on disk`);
    await checkMemory(box, suspended);
    const { generation, size, process: knownAs } = suspended;
    const spec = { boxId, name: boxId, generation, options: boxOptionsSchema.parse(size) };
    await bootBox({ ...boot, ...memory, knownAs }, box, spec, new AbortController().signal);
    await discardMemory(box);
    this.tell(boxId);
  }

  /** Says that the box is suspended no more. */
  tell(boxId: BoxId): void {
    this.#told.emit(boxId);
  }

  /** Resolves when that is said next. */
  async awoken(boxId: BoxId, signal: AbortSignal): Promise<void> {
    await once(this.#told, boxId, { signal });
  }
}
