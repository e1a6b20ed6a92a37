import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { boxOptionsSchema } from '../../events/box-options.ts';
import type { ProcessIdentity } from '../../events/process.ts';
import { type BoxId, boxIdPattern, boxId as parseBoxId } from '../../kernel/ids.ts';
import { isAlive } from '../../os/process-identity.ts';
import type { BootSpec } from '../driver.ts';
import { type BootContext, bootBox } from '../supervised/boot.ts';
import type { BootRecord } from '../supervised/boot-record.ts';
import { endBox } from '../supervised/box-state.ts';
import { isThere } from '../supervised/files.ts';
import { endWaiting, handOver } from '../supervised/hand-over.ts';
import type { BoxLayout, Layout } from '../supervised/layout.ts';
import { socketRoot } from '../supervised/socket-root.ts';
import { makeDisk, readDisk } from './layered-disk.ts';
import { MachineControls } from './machine-controls.ts';
import { machinePlan } from './machine-plan.ts';
import type { TemplateMaking } from './make-template.ts';
import type { TemplateKey, Templates } from './templates.ts';

export interface ReadyMachinesOptions extends Pick<TemplateMaking, 'base' | 'owner' | 'blank' | 'warmUp'> {
  /** Where they lie: in the file system of the boxes, which are reached by `controls`. */
  readonly layout: Layout;
  readonly controls: MachineControls;
  readonly boot: Omit<BootContext, 'makeDisk' | 'launch' | 'started'>;
  readonly templates: Templates;
  /** At most so many wait at a time, of all templates. */
  readonly max: number;
  /** Told of one that could not be made ready or taken; a machine is started in its place. */
  readonly failed: (error: unknown) => void;
  /** Told each time that one stands ready. */
  readonly stands: () => void;
}

interface ReadyMachine {
  readonly template: string;
  readonly id: BoxId;
  readonly box: BoxLayout;
  readonly record: BootRecord;
  readonly process: ProcessIdentity;
  readonly sinceMs: number;
}

/** Ends all that an earlier life of the service left waiting. */
export const endAllWaiting = async ({ run, boxes, box }: Layout, directoryMode: number): Promise<void> => {
  for (const directory of [run, boxes]) await mkdir(directory, { recursive: true, mode: directoryMode });
  const names = await Promise.all([readdir(run), readdir(boxes)]);
  for (const name of new Set(names.flat()))
    if (boxIdPattern.test(name)) await endWaiting(parseBoxId(name), box(parseBoxId(name)));
};

/** When there is no room for another, one that has been waiting for longer makes way. */
const unwantedMs = 600_000;
const preparingMs = 60_000;

/**
 * Machines that have gone on from a template and stand still until a box is to be one of them: they take memory, and no
 * processor. They end with the service; those that one which was killed left are ended before the
 * next does anything else (`endAllWaiting`).
 */
export class ReadyMachines {
  readonly #options: ReadyMachinesOptions;
  readonly #sockets: string;
  readonly #controls: MachineControls;
  readonly #waiting: ReadyMachine[] = [];
  readonly #wanted = new Set<string>();
  /** One is made ready after the other: each takes a processor for a second. */
  #preparing: Promise<void> = Promise.resolve();
  readonly #closed = new AbortController();

  constructor(options: ReadyMachinesOptions) {
    this.#options = options;
    this.#sockets = socketRoot(options.layout);
    const diskOf = (id: BoxId) => options.layout.box(id).disk;
    this.#controls = new MachineControls(this.#sockets, diskOf, () => undefined);
  }

  /** Sees to it that one will be ready that has gone on from the template. Takes no time of the caller's. */
  want(template: string, key: TemplateKey): void {
    if (this.#options.max === 0 || this.#wanted.has(template) || this.#closed.signal.aborted) return;
    this.#wanted.add(template);
    this.#preparing = this.#preparing
      .then(async () => {
        if (!(await this.#hasRoomFor(template))) return;
        this.#waiting.push(await this.#prepare(template, key));
        this.#options.stands();
      })
      .catch((error: unknown) => {
        if (!this.#closed.signal.aborted) this.#options.failed(error);
      })
      .finally(() => this.#wanted.delete(template));
  }

  /** Makes one the box's, which has no disk. Undefined: there is none, or it was of no use; then there is still no box. */
  async take(
    template: string,
    spec: BootSpec,
    box: BoxLayout,
  ): Promise<{ readonly record: BootRecord; readonly process: ProcessIdentity } | undefined> {
    if ((await isThere(box.disk)) || (await isThere(box.replacedDisk))) return undefined;
    const index = this.#waiting.findIndex((machine) => machine.template === template);
    const [machine] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (machine === undefined) return undefined;
    const { boot, controls } = this.#options;
    try {
      if (!(await isAlive(machine.process))) throw new Error('a machine that stood ready has ended');
      const record = await handOver(boot, machine, box, spec);
      controls.takeFrom(this.#controls, machine.id, spec.boxId);
      await controls.goOn(spec.boxId);
      await this.#clear(machine);
      return { record, process: machine.process };
    } catch (error) {
      this.#options.failed(error);
      await this.#clear(machine);
      await endBox(spec.boxId, box);
      return undefined;
    }
  }

  /** Ends all that wait; none is made ready any more. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the service ends'));
    await this.#preparing;
    for (const machine of this.#waiting.splice(0)) await this.#clear(machine);
  }

  async #hasRoomFor(template: string): Promise<boolean> {
    if (this.#waiting.length < this.#options.max) return true;
    const [oldest] = this.#waiting;
    const isUnwanted =
      oldest !== undefined && oldest.template !== template && performance.now() - oldest.sinceMs > unwantedMs;
    if (isUnwanted) await this.#clear(this.#waiting.shift() ?? oldest);
    return isUnwanted;
  }

  async #prepare(template: string, key: TemplateKey): Promise<ReadyMachine> {
    const { layout, boot, owner, blank, warmUp } = this.#options;
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(preparingMs)]);
    const id = parseBoxId(`bx_${randomBytes(8).toString('hex')}`);
    const box = layout.box(id);
    const { memoryMib, cpus } = key.options;
    const options = boxOptionsSchema.parse({ memoryMib, cpus: Math.ceil(cpus) });
    const context: BootContext = {
      ...boot,
      passed: () => undefined,
      makeDisk: (path) => makeDisk(path, key.image.digest, blank, owner),
      launch: (spec, of, record) => this.#launch(key, spec, of, record),
      started: () => this.#controls.goOn(id),
    };
    try {
      const booted = await bootBox(
        context,
        box,
        { boxId: id, name: 'ready', generation: 0, options },
        signal,
      );
      this.#controls.seen(id, booted.record);
      await warmUp(join(this.#sockets, id, 'guest.sock'), { hasDisk: true }, signal);
      await this.#controls.freeze({ boxId: id });
      return { template, id, box, ...booted, sinceMs: performance.now() };
    } catch (error) {
      await this.#clear({ id, box });
      throw error;
    }
  }

  async #launch(key: TemplateKey, { boxId, options }: BootSpec, box: BoxLayout, { nonce }: BootRecord) {
    const { base, templates } = this.#options;
    const directory = await templates.find(key);
    if (directory === undefined) throw new Error('the template that a machine was to go on from is gone');
    const { active } = await readDisk(box.disk);
    return machinePlan(base, {
      ...{ boxId, nonce, options, disk: box.disk, active, image: key.image.directory },
      attempt: box.attempt(nonce),
      template: { directory, use: 'go on' },
    });
  }

  async #clear({ id, box }: Pick<ReadyMachine, 'id' | 'box'>): Promise<void> {
    this.#controls.seen(id, undefined);
    await endWaiting(id, box).catch(this.#options.failed); // the next life of the service does it
  }
}
