import type { ExecSpec } from '../events/exec-events.ts';
import type { Exit } from '../events/process.ts';

export interface GuestInfo {
  readonly agentVersion: string;
  readonly pid: number;
  readonly hostname: string;
}

/** What an exec sends back, in order within each of stdout and stderr. `exited` is the last. */
export type ExecOutput =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'stdout'; readonly data: Uint8Array }
  | { readonly kind: 'stderr'; readonly data: Uint8Array }
  | { readonly kind: 'exited'; readonly exit: Exit; readonly timedOut: boolean; readonly durationMs: number };

/** What can be said to a running exec. `end` closes its stdin. */
export type ExecInput =
  | { readonly kind: 'stdin'; readonly data: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'resize'; readonly rows: number; readonly cols: number }
  /** To the process group. Name as in signal(7): `SIGTERM`. */
  | { readonly kind: 'signal'; readonly signal: string };

export interface GuestExec extends AsyncIterable<ExecOutput> {
  /** Resolves when the guest can take more: await it, and a slow program holds its writer back. */
  send(input: ExecInput): Promise<void>;
}

/** Defaults that the box gives to each exec. */
export interface ExecDefaults {
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string | undefined;
}

/**
 * The agent inside a box, from outside. One instance a box, which connects by itself and again after a loss. Throws
 * `BoxledgerError`: `Unavailable` when the guest does not answer, `NotFound`, `PermissionDenied` or `InvalidArgument`
 * as the guest says.
 */
export interface Guest {
  ping(signal: AbortSignal): Promise<GuestInfo>;
  /** Asks the guest to end everything in the box and then itself; resolves when it has agreed to. */
  shutdown(signal: AbortSignal): Promise<void>;
  /** Flushes and, where it can, freezes file systems. `frozen`: nothing is written until `thaw` or a watchdog's thaw. */
  quiesce(signal: AbortSignal): Promise<{ readonly frozen: boolean; readonly detail: string }>;
  thaw(signal: AbortSignal): Promise<void>;
  /** Runs a program. Aborting the signal kills its process group. */
  exec(spec: ExecSpec, defaults: ExecDefaults, signal: AbortSignal): GuestExec;
  /** Unpacks a tar stream at `path` in the box. */
  upload(
    path: string,
    options: { readonly overwrite: boolean },
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ readonly entries: number; readonly bytes: number }>;
  /** Packs `path` of the box as a tar stream. */
  download(
    path: string,
    options: { readonly followSymlinks: boolean; readonly includeParent: boolean },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>;
  close(): void;
}
