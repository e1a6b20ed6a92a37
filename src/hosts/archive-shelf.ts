import type { Logger } from 'pino';
import type { Driver } from '../drivers/driver.ts';
import type { Placement } from '../events/box-events.ts';
import type { UnpackedArchive } from '../events/unpacked-archive.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId, ExportId } from '../kernel/ids.ts';
import { KeyedLock } from '../kernel/keyed-lock.ts';
import type { Clock } from '../kernel/ports.ts';
import type { HostBoxes } from './host-boxes.ts';

/** Which imports have begun and are not known to have come into the log or to be undone. It outlasts a kill -9. */
export interface PendingImports {
  add(boxId: BoxId): Promise<void>;
  /** Nothing there is success. */
  remove(boxId: BoxId): Promise<void>;
  list(): Promise<readonly BoxId[]>;
}

interface ArchiveShelfOptions {
  readonly driver: Driver;
  readonly boxes: Pick<HostBoxes, 'view'>;
  readonly pending: PendingImports;
  readonly placement: Placement;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long an archive is kept whose caller went away while it was made. What an earlier server left goes at the start (leftovers.ts). */
const keepUnfetchedMs = 15 * 60_000;
const sweepIntervalMs = 60_000;

/**
 * Box archives that come to this host or go from it. What stays of a call that died goes again: an archive after a while, the
 * disk of an import that the log has never heard of at the next start. Only disks of imports are looked at for that: any other
 * that the log does not know belongs to another log.
 */
export class ArchiveShelf {
  readonly #options: ArchiveShelfOptions;
  readonly #lock = new KeyedLock<BoxId>();
  /** When each archive was first seen, by the monotonic clock. */
  readonly #seenAt = new Map<ExportId, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ArchiveShelfOptions) {
    this.#options = options;
  }

  /** Call it before anything is imported; again, when it could not be done. */
  async start(): Promise<void> {
    const { pending, log } = this.#options;
    for (const boxId of await pending.list()) await this.#clearAtStart(boxId);
    this.#timer = setInterval(() => {
      this.sweep().catch((err: unknown) => log.warn({ err }, 'archives could not be looked at'));
    }, sweepIntervalMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  open(exportId: ExportId): Promise<AsyncIterable<Uint8Array>> {
    return this.#options.driver.openExport(exportId);
  }

  async remove(exportId: ExportId): Promise<void> {
    await this.#options.driver.removeExport(exportId);
    this.#seenAt.delete(exportId);
  }

  /** Removes what has been there for long enough; whoever is reading it reads on. */
  async sweep(): Promise<void> {
    const { driver, clock, log } = this.#options;
    const now = clock.monotonicMs();
    const there = new Set(await driver.listExports());
    for (const exportId of this.#seenAt.keys()) if (!there.has(exportId)) this.#seenAt.delete(exportId);
    for (const exportId of there) {
      const seenAt = this.#seenAt.get(exportId);
      if (seenAt === undefined) this.#seenAt.set(exportId, now);
      else if (now - seenAt >= keepUnfetchedMs) {
        await this.remove(exportId);
        log.info({ exportId }, 'removed an archive that nobody has fetched');
      }
    }
  }

  /** As the API's port of archives has it. */
  import<Result>(
    boxId: BoxId,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    record: (unpacked: UnpackedArchive) => Promise<Result>,
  ): Promise<Result> {
    const { driver, pending, placement } = this.#options;
    return this.#lock.run(boxId, async () => {
      await pending.add(boxId);
      const { manifest, archiveBytes, sha256 } = await driver
        .importDisk(boxId, archive, { signal })
        .catch(async (error: unknown) => {
          await this.#undoSoon(boxId); // it may have failed once the disk was there
          throw error;
        });
      const { name, options } = manifest.box;
      try {
        const result = await record({ name, options, sizeBytes: archiveBytes, sha256, placement });
        await pending.remove(boxId);
        return result;
      } catch (error) {
        const isUnknown = error instanceof BoxledgerError && error.code === 'Unavailable';
        if (!isUnknown) await this.#undoSoon(boxId);
        throw error;
      }
    });
  }

  /** Throws only what is over by itself: a disk that cannot be removed keeps no host from its other boxes. */
  async #clearAtStart(boxId: BoxId): Promise<void> {
    const { log } = this.#options;
    try {
      if (await this.#undo(boxId))
        log.warn({ boxId }, 'removed the disk of an import that was never recorded');
    } catch (err) {
      if (err instanceof BoxledgerError && err.code === 'Unavailable') throw err;
      log.error({ err, boxId }, 'the disk of an import that was never recorded stays until the next start');
    }
  }

  /** Now, or else at the next start. */
  async #undoSoon(boxId: BoxId): Promise<void> {
    await this.#undo(boxId).catch((err: unknown) =>
      this.#options.log.warn({ err, boxId }, 'the disk of a failed import is removed at the next start'),
    );
  }

  /** Never takes the disk of a box that there is, nor one that no import made. Whether there was one to take. */
  async #undo(boxId: BoxId): Promise<boolean> {
    const { driver, boxes, pending } = this.#options;
    const isUnknown = (await boxes.view(boxId)) === undefined;
    const isToGo = isUnknown && (await driver.diskOrigin(boxId))?.kind === 'import';
    if (isToGo) await driver.removeDisk(boxId);
    await pending.remove(boxId);
    return isToGo;
  }
}
