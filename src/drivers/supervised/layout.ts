import { join } from 'node:path';
import type { BoxId, ExportId, SnapshotId } from '../../kernel/ids.ts';

/**
 * Where things lie below the data directory:
 *
 *     boxes/ID/disk            the box's home directory, `/home/box` inside
 *     boxes/ID/disk.replaced   the disk until the one that a restore puts in its place is there (see staging.ts)
 *     boxes/ID/memory/         of a box that is suspended: its memory, and what it takes to go on from it (see suspension.ts)
 *     boxes/ID/origin.json     of what the disk was made, unless it began empty
 *     boxes/ID/snapshots/ID/   a disk as it once was, and its figures
 *     boxes/ID/staging/        what is not complete yet or not wanted any more
 *     exports/ID/              a box archive and its figures
 *     exports/staging/ID/      the same of exports, by box
 *     run/ID/boot.json         the last attempt at a boot
 *     run/ID/agent.sock        the guest agent's socket as the host connects to it; of a machine, its port's
 *     run/ID/guest.sock        of a machine: where connections to its agent are carried through that port
 *     run/ID/qmp.sock          of a machine: its monitor's
 *     run/ID/NONCE/            that attempt: who runs, how it ended, console, sockets (see boot-record.ts)
 *     run/scripts/             the shell programs
 */
export interface Layout {
  readonly boxes: string;
  readonly run: string;
  readonly scripts: string;
  readonly exports: string;
  readonly exportsStaging: string;
  box(id: BoxId): BoxLayout;
  export(id: ExportId): ExportLayout;
}

export interface BoxLayout {
  readonly box: string;
  readonly disk: string;
  readonly replacedDisk: string;
  readonly memory: string;
  readonly origin: string;
  readonly snapshots: string;
  readonly staging: string;
  readonly exportsStaging: string;
  readonly run: string;
  readonly record: string;
  /** Whatever the host connects to, of any driver. */
  readonly sockets: readonly string[];
  snapshot(id: SnapshotId): SnapshotLayout;
  attempt(nonce: string): AttemptLayout;
}

export interface SnapshotLayout {
  readonly directory: string;
  readonly disk: string;
  readonly figures: string;
}

export interface ExportLayout {
  readonly directory: string;
  readonly archive: string;
  readonly figures: string;
}

export interface AttemptLayout {
  readonly directory: string;
  /** Renamed by the one that wins: the shim to `claimed`, anybody who wants no box to come of it to `revoked`. */
  readonly ticket: string;
  readonly claimed: string;
  readonly revoked: string;
  /** Pid and start time of the shim and of the box's outermost process. */
  readonly shim: string;
  readonly main: string;
  /** Status that the shell saw, or `unknown`. */
  readonly exit: string;
  /** FIFO that the shim holds open as long as it lives. */
  readonly lifeline: string;
  /** The later and the earlier part of the console's output. */
  readonly console: readonly [string, string];
  readonly shimErrors: string;
  /** Where the box's file system is put together. */
  readonly root: string;
  /** The box's own `passwd`, `group`, `hosts` and `hostname`. */
  readonly etc: string;
  /** `/run/boxledger/guest` in the box. */
  readonly guest: string;
}

export const layoutOf = (dataDir: string): Layout => {
  const boxes = join(dataDir, 'boxes');
  const run = join(dataDir, 'run');
  const exports = join(dataDir, 'exports');
  const exportsStaging = join(exports, 'staging');
  return {
    boxes,
    run,
    scripts: join(run, 'scripts'),
    exports,
    exportsStaging,
    export: (id) => exportIn(join(exports, id)),
    box: (id) => {
      const runOfBox = join(run, id);
      const box = join(boxes, id);
      return {
        box,
        disk: join(box, 'disk'),
        replacedDisk: join(box, 'disk.replaced'),
        memory: join(box, 'memory'),
        origin: join(box, 'origin.json'),
        snapshots: join(box, 'snapshots'),
        staging: join(box, 'staging'),
        exportsStaging: join(exportsStaging, id),
        snapshot: (snapshot) => snapshotIn(join(box, 'snapshots', snapshot)),
        run: runOfBox,
        record: join(runOfBox, 'boot.json'),
        sockets: ['agent.sock', 'guest.sock', 'qmp.sock'].map((name) => join(runOfBox, name)),
        attempt: (nonce) => attemptIn(join(runOfBox, nonce)),
      };
    },
  };
};

/** Also while it is staged under another name. */
export const snapshotIn = (directory: string): SnapshotLayout => ({
  directory,
  disk: join(directory, 'disk'),
  figures: join(directory, 'figures.json'),
});

export const exportIn = (directory: string): ExportLayout => ({
  directory,
  archive: join(directory, 'archive.tar.zst'),
  figures: join(directory, 'figures.json'),
});

const attemptIn = (directory: string): AttemptLayout => ({
  directory,
  ticket: join(directory, 'ticket'),
  claimed: join(directory, 'claimed'),
  revoked: join(directory, 'revoked'),
  shim: join(directory, 'shim'),
  main: join(directory, 'main'),
  exit: join(directory, 'exit'),
  lifeline: join(directory, 'lifeline'),
  console: [join(directory, 'console'), join(directory, 'console.1')],
  shimErrors: join(directory, 'shim.errors'),
  root: join(directory, 'root'),
  etc: join(directory, 'etc'),
  guest: join(directory, 'guest'),
});
