import type { BoxOptions } from '../events/box-options.ts';
import type { BoxProcess, ResourceUsage } from '../events/box-usage.ts';
import type { Exit, ProcessIdentity } from '../events/process.ts';
import type { BoxId } from '../kernel/ids.ts';
import type { DiskKeeper } from './disks.ts';

/** What a driver needs to bring a box up. */
export interface BootSpec {
  readonly boxId: BoxId;
  readonly name: string;
  /** Number of the start; a box that is up with this generation already is taken over. */
  readonly generation: number;
  readonly options: BoxOptions;
}

export interface Booted {
  readonly process: ProcessIdentity;
  /** The box was up already, from an attempt that died. */
  readonly tookOver: boolean;
  /** Durations in milliseconds by stage: `disk`, `spawn`. */
  readonly stagesMs: Readonly<Record<string, number>>;
  /** What the guest is to be told before anything of the box runs; null: nothing. */
  readonly identity: { readonly hostname: string; readonly machineId: string } | null;
}

/** What a driver finds of a box on its host. */
export type Observation =
  | {
      readonly kind: 'running';
      readonly generation: number;
      readonly process: ProcessIdentity;
      readonly frozen: boolean;
    }
  | { readonly kind: 'ended'; readonly generation: number; readonly exit: Exit }
  /** Never booted here, or cleared away since. */
  | { readonly kind: 'absent' };

/** How well a box is kept apart, for `doctor` and for `inspect`. Each entry is one sentence. */
export interface Isolation {
  /** False: the box runs as a plain process with all that its user may do. */
  readonly isolates: boolean;
  /** What is in force: `own mount namespace (bwrap)`, `memory limit (cgroup v1)`, … */
  readonly measures: readonly string[];
  /** What this machine lacks, and what to install or allow to have it. */
  readonly missing: readonly string[];
}

/**
 * Brings boxes up and down on one host. It remembers nothing in memory that it cannot find again: after a kill -9 of its
 * process a new instance on the same directory knows all boxes. Every method is idempotent, and a signal goes only to a
 * process whose whole identity still fits. Throws `BoxledgerError`.
 */
export interface Driver extends DiskKeeper {
  readonly kind: 'process' | 'qemu' | 'sim';
  /** Looks at the machine; cheap enough to call at each start of the service. */
  isolation(): Promise<Isolation>;

  /**
   * Makes the disk if there is none, and starts the box's process. Resolves once the process exists; whether its guest
   * answers is for the caller to find out. On failure or abort everything begun is undone but the disk. A box that is up
   * with an earlier generation is ended first.
   */
  boot(spec: BootSpec, signal: AbortSignal): Promise<Booted>;
  observe(boxId: BoxId): Promise<Observation>;
  /** Every box that has anything on this host: a process, a disk or leavings of either. */
  list(): Promise<readonly BoxId[]>;
  /**
   * Resolves with the exit once that process has ended, at once if it has; needs no polling. Aborting ends the wait with
   * the signal's reason.
   */
  ended(boxId: BoxId, process: ProcessIdentity, signal: AbortSignal): Promise<Exit>;

  /** Stops all execution in the box. Already frozen is success. */
  freeze(boxId: BoxId, process: ProcessIdentity): Promise<void>;
  /** Also of a box that is suspended, which is frozen: it goes on, known by the same process. */
  unfreeze(boxId: BoxId, process: ProcessIdentity): Promise<void>;
  /**
   * Freezes the box, keeps its memory on disk, and ends its process; that is no end of the box, and outlasts the host. On
   * failure it is frozen, or runs. Already suspended is success. Throws `Unsupported` where memory cannot be kept.
   */
  suspend(boxId: BoxId, process: ProcessIdentity, signal: AbortSignal): Promise<void>;

  /** Asks the box's processes to end (SIGTERM). */
  terminate(boxId: BoxId, process: ProcessIdentity): Promise<void>;
  /**
   * Ends the whole process tree, frozen or not, reaps it, and clears away sockets, mounts and cgroups; the disk and how
   * the box ended stay. Resolves when nothing of it runs. Nothing running is success.
   */
  kill(boxId: BoxId): Promise<void>;
  /** Removes the disk, its snapshots and everything else of a box that does not run. Nothing there is success. */
  removeDisk(boxId: BoxId): Promise<void>;

  /** Address of the guest agent's socket (`unix:…`); null when this driver has no guest. */
  guestAddress(boxId: BoxId): string | null;
  /** Last output of the box's console, control characters made visible, at most `maxBytes`. */
  consoleTail(boxId: BoxId, maxBytes: number): Promise<string>;
  /** The same, and then what is written to the console, until that run of the box has ended or the signal fires. */
  followConsole(boxId: BoxId, maxBytes: number, signal: AbortSignal): AsyncIterable<string>;
  /** Undefined when the box does not run. */
  usage(boxId: BoxId): Promise<ResourceUsage | undefined>;
  /** What runs in the box, without what only holds it together, by process id. */
  processes(boxId: BoxId): Promise<readonly BoxProcess[]>;

  /** Ends what the driver does by itself and what it holds of boxes. They run on, for the next instance to find. */
  close(): Promise<void>;
}
