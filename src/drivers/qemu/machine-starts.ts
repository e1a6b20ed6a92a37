import type { BoxId } from '../../kernel/ids.ts';
import { readIfThere } from '../../os/files.ts';
import type { BootSpec } from '../driver.ts';
import type { LaunchPlan } from '../supervised/boot.ts';
import type { BootRecord } from '../supervised/boot-record.ts';
import type { Owner } from '../supervised/disk.ts';
import type { BoxLayout } from '../supervised/layout.ts';
import type { Image, ImageStore } from './image/image-store.ts';
import { settleDisk } from './layered-disk.ts';
import { type MachineBase, machinePlan } from './machine-plan.ts';
import type { ReadyMachines } from './ready-machines.ts';
import type { TemplateKey, Templates } from './templates.ts';
import { runTool } from './tools.ts';

export interface MachineStartsOptions {
  readonly base: MachineBase;
  readonly images: ImageStore;
  readonly owner: Owner;
  /** Undefined: every machine boots. */
  readonly templates: Templates | undefined;
  readonly ready: ReadyMachines | undefined;
  /** Has the box's machine, which waits for a state, go on from that; success where it runs. */
  readonly goOn: (boxId: BoxId) => Promise<void>;
}

/**
 * How machines are started: one that can go on from a template does, and boots where anything is wrong with that. The
 * first that boots has a template made once its agent has answered.
 */
export class MachineStarts {
  readonly #options: MachineStartsOptions;
  /** Of the last start of each box: what its template is known by, and whether it goes on from that. */
  readonly #last = new Map<
    BoxId,
    { readonly key: TemplateKey; readonly isWarm: boolean; readonly atMs: number }
  >();

  constructor(options: MachineStartsOptions) {
    this.#options = options;
  }

  async launch({ boxId, options }: BootSpec, box: BoxLayout, { nonce }: BootRecord): Promise<LaunchPlan> {
    const { images, owner, templates } = this.#options;
    const disk = await settleDisk(box.disk, owner);
    const key = { image: await images.find(disk.image), options };
    // One that goes on from a template and is not heard of for so long is not going to be.
    const last = this.#last.get(boxId);
    if (last?.isWarm === true && performance.now() - last.atMs > unheardMs)
      await templates?.discard(last.key);
    const directory = await templates?.find(key);
    this.#last.set(boxId, { key, isWarm: directory !== undefined, atMs: performance.now() });
    const target = { boxId, nonce, options, disk: box.disk, active: disk.active, image: key.image.directory };
    return machinePlan(this.#options.base, {
      ...{ ...target, attempt: box.attempt(nonce) },
      template: directory === undefined ? undefined : { directory, use: 'go on' },
    });
  }

  /** Makes a machine that stands ready a box that has no disk; undefined where there is none. */
  async take(image: Image, spec: BootSpec, box: BoxLayout) {
    const { templates, ready } = this.#options;
    const key = { image, options: spec.options };
    const template = templates?.nameOf(key);
    if (template === undefined) return undefined;
    const taken = await ready?.take(template, spec, box);
    if (taken !== undefined) ready?.want(template, key);
    return taken;
  }

  /** Of a machine that goes on from its own memory. */
  async launchFromMemory(
    { boxId, options }: BootSpec,
    box: BoxLayout,
    { nonce }: BootRecord,
  ): Promise<LaunchPlan> {
    const { base, images, owner } = this.#options;
    const disk = await settleDisk(box.disk, owner);
    const { directory: image } = await images.find(disk.image);
    return machinePlan(base, {
      ...{ boxId, nonce, options, disk: box.disk, active: disk.active, image, attempt: box.attempt(nonce) },
      template: { directory: box.memory, use: 'own memory' },
    });
  }

  /** Also of a start that an earlier life of the service began: whether that one was warm, the machine says. */
  async started(boxId: BoxId): Promise<void> {
    if (this.#last.get(boxId)?.isWarm !== false) await this.#options.goOn(boxId);
  }

  /** Whether the box's start, which failed, is to be tried as a boot. */
  async otherwise(boxId: BoxId): Promise<boolean> {
    const last = this.#last.get(boxId);
    if (last === undefined || !last.isWarm) return false;
    await this.#options.templates?.discard(last.key);
    return true;
  }

  /** No template is made any more, and no machine stands ready. */
  async close(): Promise<void> {
    await this.#options.templates?.close();
    await this.#options.ready?.close();
  }

  answered(boxId: BoxId): void {
    const last = this.#last.get(boxId);
    if (last === undefined) return;
    this.#last.delete(boxId);
    const { templates, ready } = this.#options;
    if (templates === undefined) return;
    const prepare = () => ready?.want(templates.nameOf(last.key), last.key);
    if (last.isWarm) prepare();
    else templates.want(last.key, prepare);
  }
}

const unheardMs = 20_000;

/** What a machine's state depends on besides its image and its size. */
export const hostKey = async (base: MachineBase): Promise<Readonly<Record<string, string>>> => {
  const info = (await readIfThere('/proc/cpuinfo')) ?? '';
  const disk = { disk: 'disk', active: 'active', image: 'image', attempt: { guest: 'guest' } };
  const target = { boxId: 'box', nonce: 'nonce', options: { cpus: 1, memoryMib: 1 }, ...disk };
  return {
    qemu: await runTool('qemu-system-x86_64', ['--version']),
    processor: /^model name\s*:\s*(.*)$/m.exec(info)?.[1] ?? '',
    flags: /^flags\s*:\s*(.*)$/m.exec(info)?.[1] ?? '',
    accelerator: base.accelerator,
    machine: machinePlan(base, target).program.join(' '),
  };
};
