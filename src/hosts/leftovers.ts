import type { Logger } from 'pino';
import type { Driver } from '../drivers/driver.ts';
import type { BoxView } from '../events/box-view.ts';
import type { BoxId } from '../kernel/ids.ts';
import type { HostBoxes } from './host-boxes.ts';

export interface LeftoversOptions {
  readonly driver: Driver;
  readonly boxes: Pick<HostBoxes, 'view'>;
  readonly log: Logger;
}

/**
 * Clears away what work on disks leaves when it dies and nobody asks for it again. What an effect in flight may still want
 * stays: the effect's next attempt deals with that. All of it throws as the driver and the database do.
 */
export class Leftovers {
  readonly #options: LeftoversOptions;

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** Snapshots that are no snapshots of the box. Call it while none of the box's effects runs here. */
  async clearSnapshots(view: BoxView): Promise<void> {
    const { driver, log } = this.#options;
    const { boxId, hasDisk, operation, snapshots } = view;
    if (!hasDisk || operation !== null) return;
    const known = new Set(snapshots.map(({ snapshotId }) => snapshotId));
    for (const snapshotId of await driver.listSnapshots(boxId)) {
      if (known.has(snapshotId)) continue;
      log.warn({ boxId, snapshotId }, 'removed a snapshot that its box does not have');
      await driver.removeSnapshot(boxId, snapshotId);
    }
  }

  /**
   * The disk of a box that the log has never heard of, if it was to be a clone of one that the log does know, and its clone effect
   * is over. Any other stays: it is being imported (see archive-shelf.ts), or belongs to another log.
   */
  async clearStranger(boxId: BoxId): Promise<void> {
    const { driver, boxes, log } = this.#options;
    const origin = await driver.diskOrigin(boxId);
    if (origin?.kind !== 'clone' || (await driver.observe(boxId)).kind !== 'absent') return;
    if (!(await this.#cloningIsOver(origin.from, boxId))) return;
    // The box is looked for last: the clone's event, if it came, came before its effect was over.
    if ((await boxes.view(boxId)) !== undefined) return;
    log.warn({ boxId, from: origin.from }, 'removed the disk of a clone that did not come about');
    await driver.removeDisk(boxId);
  }

  async #cloningIsOver(parent: BoxId, clone: BoxId): Promise<boolean> {
    const view = await this.#options.boxes.view(parent);
    if (view === undefined) return false;
    const { operation } = view;
    return operation?.kind !== 'clone' || operation.clones.every(({ boxId }) => boxId !== clone);
  }

  /** Whoever was to fetch them has gone with the process that made them. Call it before anything is exported. */
  async clearExports(): Promise<void> {
    const { driver, log } = this.#options;
    for (const exportId of await driver.listExports()) {
      log.info({ exportId }, 'removed an export of an earlier process');
      await driver.removeExport(exportId);
    }
  }
}
