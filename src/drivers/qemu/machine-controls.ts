import { join } from 'node:path';
import { z } from 'zod';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import type { BootRecord } from '../supervised/boot-record.ts';
import { type BoxProcesses, terminateBox } from '../supervised/members.ts';
import type { BoxControls } from '../supervised/supervised-driver.ts';
import { GuestLink } from './guest-link.ts';
import { qmp } from './qmp.ts';

const statusSchema = z.object({ running: z.boolean(), status: z.string() });
const blocksSchema = z.array(
  z.object({ device: z.string(), inserted: z.object({ file: z.string() }).optional() }),
);

/** Machines that run: their monitors, and the connections to their guests. */
export class MachineControls implements BoxControls {
  readonly #run: string;
  readonly #links = new Map<BoxId, { readonly nonce: string; readonly link: GuestLink }>();

  /** `run`: directory in which each box has one with its sockets. */
  constructor(run: string) {
    this.#run = run;
  }

  seen(boxId: BoxId, record: BootRecord | undefined): void {
    const known = this.#links.get(boxId);
    if (known?.nonce === record?.nonce) return;
    known?.link.close();
    this.#links.delete(boxId);
    if (record === undefined) return;
    const link = new GuestLink(this.#socket(boxId, 'agent.sock'), this.#socket(boxId, 'guest.sock'));
    this.#links.set(boxId, { nonce: record.nonce, link });
  }

  async isFrozen({ boxId }: BoxProcesses): Promise<boolean> {
    try {
      return (await this.#status(boxId)).status === 'paused';
    } catch (error) {
      // A machine that is just coming up has no monitor yet, and nobody has stopped it.
      if (error instanceof BoxledgerError && error.code === 'Unavailable') return false;
      throw error;
    }
  }

  async freeze({ boxId }: BoxProcesses): Promise<void> {
    await this.#ask(boxId, ['stop']);
  }

  async unfreeze({ boxId }: BoxProcesses): Promise<void> {
    await this.#ask(boxId, ['cont']);
  }

  terminate(box: BoxProcesses): Promise<void> {
    return terminateBox(box);
  }

  /** Has the machine, if it runs, write to that file of its disk, unless it does. */
  async switchTo(boxId: BoxId, active: string): Promise<void> {
    if (!this.#links.has(boxId)) return;
    const [blocks] = await this.#ask(boxId, ['query-block']);
    const file = blocksSchema.parse(blocks).find(({ device }) => device === 'disk')?.inserted?.file;
    if (file === undefined || file.endsWith(`/${active}`)) return;
    const next = join(file, '..', active);
    await this.#ask(boxId, [
      'blockdev-snapshot-sync',
      { device: 'disk', 'snapshot-file': next, format: 'qcow2', mode: 'existing' },
    ]);
  }

  async #status(boxId: BoxId) {
    const [status] = await this.#ask(boxId, ['query-status']);
    return statusSchema.parse(status);
  }

  #ask(boxId: BoxId, ...commands: Parameters<typeof qmp>[1]) {
    return qmp(this.#socket(boxId, 'qmp.sock'), commands);
  }

  #socket(boxId: BoxId, name: string): string {
    return join(this.#run, boxId, name);
  }
}
