import type { ExecSpec } from '../events/exec-events.ts';
import type { Exit } from '../events/process.ts';
import type { ExecId } from '../kernel/ids.ts';

export interface GuestInfo {
  readonly agentVersion: string;
  readonly pid: number;
  readonly hostname: string;
}

/** How a program ended, and how much it wrote, whether anybody read it or not. */
export interface ExecEnd {
  readonly exit: Exit;
  readonly timedOut: boolean;
  readonly durationMs: number;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

/** What an exec sends back, in order within each of stdout and stderr. `exited` is the last. */
export type ExecOutput =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'stdout'; readonly data: Uint8Array }
  | { readonly kind: 'stderr'; readonly data: Uint8Array }
  /** Output of both streams that the guest does not keep any more, in the place where it was. */
  | { readonly kind: 'skipped'; readonly bytes: number }
  | ({ readonly kind: 'exited' } & ExecEnd);

/** What can be said to a running exec. `end` closes its stdin. */
export type ExecInput =
  | { readonly kind: 'stdin'; readonly data: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'resize'; readonly rows: number; readonly cols: number }
  /** To the process group. Name as in signal(7): `SIGTERM`. */
  | { readonly kind: 'signal'; readonly signal: string };

/** A call that is attached to a program. The program goes on when the call ends, however it does. */
export interface GuestExec extends AsyncIterable<ExecOutput> {
  /** Resolves when the guest can take more: await it, and a slow program holds its writer back. */
  send(input: ExecInput): Promise<void>;
}

/** Defaults that the box gives to each exec. */
export interface ExecDefaults {
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string | undefined;
}

export interface UploadOptions {
  /** False refuses an archive with a file that is there already. */
  readonly overwrite: boolean;
  /** False refuses an archive with directories. */
  readonly recursive: boolean;
  /** The archive's one root goes where `cp -r` would put it; false: the archive is unpacked in the directory `path`. */
  readonly renameRoot: boolean;
  /** Users and groups are kept, where the box allows it. */
  readonly keepOwners: boolean;
}

export interface DownloadOptions {
  /** What links lead to is packed in their place. */
  readonly followSymlinks: boolean;
  /** The same for `path` itself alone. */
  readonly followSource: boolean;
  /** Entries begin with the name of the directory that is packed. */
  readonly includeParent: boolean;
  /** False refuses a directory. */
  readonly recursive: boolean;
}

/** What went through an archive. */
export interface Transferred {
  /** Files, directories and links. */
  readonly entries: number;
  /** Content of files. */
  readonly bytes: number;
}

/** What makes a machine the one of its box. */
export interface MachineIdentity {
  readonly hostname: string;
  /** 32 hexadecimal digits, as in machine-id(5). */
  readonly machineId: string;
}

/**
 * The agent inside a box, from outside. One instance a box, which connects by itself and again after a loss. Throws
 * `BoxledgerError`: `Unavailable` when the guest does not answer, `NotFound`, `PermissionDenied` or `InvalidArgument`
 * as the guest says.
 */
export interface Guest {
  ping(signal: AbortSignal): Promise<GuestInfo>;
  /** Gives a machine the disk that it was started with. Again: success. `Unsupported` where the box is no machine. */
  attachDisk(signal: AbortSignal): Promise<void>;
  /**
   * Before anything of the box runs: gives a machine its disk, name, clock and random numbers of its own. Again: success.
   * `Unsupported` where the box is no machine.
   */
  configure(identity: MachineIdentity, signal: AbortSignal): Promise<void>;
  /** Asks the guest to end everything in the box and then itself; resolves when it has agreed to. */
  shutdown(signal: AbortSignal): Promise<void>;
  /** Flushes and, where it can, freezes file systems. `frozen`: nothing is written until `thaw` or a watchdog's thaw. */
  quiesce(signal: AbortSignal): Promise<{ readonly frozen: boolean; readonly detail: string }>;
  thaw(signal: AbortSignal): Promise<void>;
  /**
   * Runs a program and attaches to it. Aborting the signal before it has started prevents that; afterwards, and when the
   * reader leaves, it only detaches.
   */
  exec(execId: ExecId, spec: ExecSpec, defaults: ExecDefaults, signal: AbortSignal): GuestExec;
  /** Runs a program that nobody is attached to, its input at its end. Resolves with its pid once it runs. */
  startExec(execId: ExecId, spec: ExecSpec, defaults: ExecDefaults, signal: AbortSignal): Promise<number>;
  /** `offset`: bytes of output that the reader has already; undefined: it gets all that is kept. Throws `NotFound`. */
  attachExec(execId: ExecId, offset: number | undefined, signal: AbortSignal): GuestExec;
  /** Of a program that was run; `end` is undefined while it runs. Throws `NotFound` when the guest does not know it. */
  inspectExec(
    execId: ExecId,
    signal: AbortSignal,
  ): Promise<{ readonly pid: number; readonly end: ExecEnd | undefined }>;
  /** Resolves once the program has ended. Throws `NotFound` as above. */
  waitExec(execId: ExecId, signal: AbortSignal): Promise<ExecEnd>;
  /** To the process group. Throws `InvalidArgument` for what is no signal, `NotFound` as above. */
  signalExec(execId: ExecId, name: string, signal: AbortSignal): Promise<void>;
  /** Unpacks a tar stream at `path` in the box: all of it or nothing. */
  upload(
    path: string,
    options: UploadOptions,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Transferred>;
  /** Packs `path` of the box as a tar stream, and returns what is in it. */
  download(
    path: string,
    options: DownloadOptions,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, Transferred, undefined>;
  close(): void;
}
