import { join } from 'node:path';
import type { BoxId } from '../../kernel/ids.ts';

/**
 * Where things lie below the data directory:
 *
 *     boxes/ID/disk            the box's home directory, `/home/box` inside: all of the box that lasts
 *     run/ID/boot.json         the last attempt at a boot
 *     run/ID/agent.sock        the guest agent's socket as the host connects to it
 *     run/ID/NONCE/            that attempt: who runs, how it ended, console, sockets (see boot-record.ts)
 *     run/scripts/             the shell programs
 */
export interface Layout {
  readonly boxes: string;
  readonly run: string;
  readonly scripts: string;
  box(id: BoxId): BoxLayout;
}

export interface BoxLayout {
  readonly box: string;
  readonly disk: string;
  readonly run: string;
  readonly record: string;
  readonly socket: string;
  attempt(nonce: string): AttemptLayout;
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
  return {
    boxes,
    run,
    scripts: join(run, 'scripts'),
    box: (id) => {
      const runOfBox = join(run, id);
      return {
        box: join(boxes, id),
        disk: join(boxes, id, 'disk'),
        run: runOfBox,
        record: join(runOfBox, 'boot.json'),
        socket: join(runOfBox, 'agent.sock'),
        attempt: (nonce) => attemptIn(join(runOfBox, nonce)),
      };
    },
  };
};

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
