import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import type { BootRecord } from '../supervised/boot-record.ts';
import { isThere } from '../supervised/files.ts';
import { type BoxProcesses, terminateBox } from '../supervised/members.ts';
import type { BoxControls } from '../supervised/supervised-driver.ts';
import { GuestLink } from './guest-link.ts';
import { stateDescriptor } from './machine-plan.ts';
import { type AskMachine, carryMemory, migrated, statusOf, withMonitor } from './qmp.ts';
import { writeState } from './write-state.ts';

const blocksSchema = z.array(
  z.object({ device: z.string(), inserted: z.object({ file: z.string() }).optional() }),
);

/** Machines that run: their monitors, and the connections to their guests. */
export class MachineControls implements BoxControls {
  readonly #run: string;
  readonly #diskOf: (boxId: BoxId) => string;
  readonly #onAnswer: (boxId: BoxId) => void;
  readonly #links = new Map<BoxId, { readonly nonce: string; readonly link: GuestLink }>();

  /** `run`: directory in which each box has one with its sockets. `diskOf`: where QEMU has a box's disk. `onAnswer`: told each time a box's agent is reached. */
  constructor(run: string, diskOf: (boxId: BoxId) => string, onAnswer: (boxId: BoxId) => void) {
    this.#run = run;
    this.#diskOf = diskOf;
    this.#onAnswer = onAnswer;
  }

  seen(boxId: BoxId, record: BootRecord | undefined): void {
    const known = this.#links.get(boxId);
    if (known?.nonce === record?.nonce) return;
    known?.link.close();
    this.#links.delete(boxId);
    if (record === undefined) return;
    const link = new GuestLink(this.#socket(boxId, 'agent.sock'), this.#socket(boxId, 'guest.sock'), () =>
      this.#onAnswer(boxId),
    );
    this.#links.set(boxId, { nonce: record.nonce, link });
  }

  /** The other's box, whose sockets lie here now, is this one's from now on, under that name. */
  takeFrom(other: MachineControls, otherId: BoxId, boxId: BoxId): void {
    const known = other.#links.get(otherId);
    if (known === undefined) return;
    other.#links.delete(otherId);
    known.link.moved(this.#socket(boxId, 'agent.sock'), this.#socket(boxId, 'guest.sock'));
    this.#links.set(boxId, known);
  }

  /** Lets go of all connections to guests. */
  close(): void {
    for (const { link } of this.#links.values()) link.close();
    this.#links.clear();
  }

  async isFrozen({ boxId }: BoxProcesses): Promise<boolean> {
    try {
      return standing.includes(await this.#ask(boxId, statusOf));
    } catch (error) {
      // A machine that is just coming up has no monitor yet, and nobody has stopped it.
      if (error instanceof BoxledgerError && error.code === 'Unavailable') return false;
      throw error;
    }
  }

  async freeze({ boxId }: Pick<BoxProcesses, 'boxId'>): Promise<void> {
    await this.#ask(boxId, (ask) => ask('stop'));
  }

  async unfreeze({ boxId }: BoxProcesses): Promise<void> {
    await this.#ask(boxId, (ask) => ask('cont'));
  }

  /** Has a machine that was started to go on from a template's state do so. Of one that runs: success. */
  async goOn(boxId: BoxId): Promise<void> {
    await this.#ask(boxId, async (ask) => {
      if ((await statusOf(ask)) === 'inmigrate') {
        await carryMemory(ask, false);
        await ask('migrate-incoming', { uri: `fd:${stateDescriptor}` });
        await migrated(ask);
      }
      if ((await statusOf(ask)) !== 'running') await ask('cont');
    });
  }

  /** Of a machine that stands still. `guest`: see `writeState`. */
  async saveMemory(boxId: BoxId, guest: Parameters<typeof writeState>[1], path: string, signal: AbortSignal) {
    await this.#ask(
      boxId,
      async (ask) => {
        await carryMemory(ask, true);
        await writeState(ask, guest, path, signal, memoryMs);
      },
      memoryMs,
    );
  }

  /** Has a machine that was started to go on from its own memory take that, and stand still. */
  async loadMemory(boxId: BoxId): Promise<void> {
    await this.#ask(
      boxId,
      async (ask) => {
        await ask('migrate-incoming', { uri: `fd:${stateDescriptor}` });
        await migrated(ask, memoryMs);
      },
      memoryMs,
    );
  }

  terminate(box: BoxProcesses): Promise<void> {
    return terminateBox(box);
  }

  /** Has the machine, if it runs, write to that file of its disk, unless it does. */
  async switchTo(boxId: BoxId, active: string): Promise<void> {
    if (!(await isListening(this.#socket(boxId, 'qmp.sock')))) return; // it does not run
    await this.#ask(boxId, async (ask) => {
      const blocks = blocksSchema.parse(await ask('query-block'));
      const file = blocks.find(({ device }) => device === 'disk')?.inserted?.file;
      // Where QEMU has a file by another way than its name, it gives all of that way, with the name in it.
      if (file === undefined) throw new BoxledgerError('Internal', 'the machine has no disk');
      if (file.includes(`/${active}`)) return;
      await ask('blockdev-snapshot-sync', {
        device: 'disk',
        'snapshot-file': join(this.#diskOf(boxId), active),
        format: 'qcow2',
        mode: 'existing',
      });
    });
  }

  /** The monitor of a machine that has just been started comes after a moment. */
  async #ask<Result>(
    boxId: BoxId,
    work: (ask: AskMachine) => Promise<Result>,
    limitMs?: number,
  ): Promise<Result> {
    const path = this.#socket(boxId, 'qmp.sock');
    for (const until = performance.now() + monitorMs; !(await isThere(path)) && performance.now() < until; )
      await delay(5);
    return withMonitor(path, work, limitMs);
  }

  #socket(boxId: BoxId, name: string): string {
    return join(this.#run, boxId, name);
  }
}

/** Of machines that stand still: stopped, or with their state handed over. */
const standing: readonly string[] = ['paused', 'postmigrate'];
/** To hand memory over: the effect's own deadline comes first. */
const memoryMs = 3_600_000;
/** Longer than it takes on a host that is overloaded: who gives up takes the machine for one that did not start. */
const monitorMs = 15_000;

/** Whether there is a machine behind the socket: what nobody answers on is left of one. */
const isListening = (path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(probe.destroy() !== undefined));
    probe.once('error', (error: NodeJS.ErrnoException) =>
      ['ENOENT', 'ECONNREFUSED'].includes(error.code ?? '') ? resolve(false) : reject(error),
    );
  });
