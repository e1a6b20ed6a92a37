/** How long after an event the effect that it asks for must have an outcome: `timeoutMs` of the event. */
import { limits } from '../../kernel/limits.ts';

export const bootTimeoutMs = limits.bootTimeoutMs + limits.effectMarginMs;
export const pauseTimeoutMs = limits.freezeTimeoutMs + limits.effectMarginMs;
/** To write memory to disk, or to read it, on a slow one. */
export const memoryOnDiskMs = (memoryMib: number): number => memoryMib * 60;
export const resumeTimeoutMs = limits.thawTimeoutMs + limits.effectMarginMs;
export const diskRemoveTimeoutMs = limits.diskRemoveTimeoutMs + limits.effectMarginMs;

/** `guestMs`: how long the box may take to shut down by itself. */
export const stopTimeoutMs = (guestMs: number = limits.shutdownGuestTimeoutMs): number =>
  guestMs + limits.shutdownTermTimeoutMs + limits.effectMarginMs;

/** What `stopTimeoutMs` was made of: the part that is the box's own. */
export const guestMsOf = (timeoutMs: number): number => Math.max(0, timeoutMs - stopTimeoutMs(0));

export const diskOperationTimeoutMs = limits.diskOperationTimeoutMs + limits.effectMarginMs;

/** Pause before the `attempt`-th restart in a row. */
export const restartDelayMs = (attempt: number): number =>
  Math.min(limits.restartFirstDelayMs * 2 ** Math.min(attempt - 1, 30), limits.restartMaxDelayMs);

/** Pause before the `retry`-th repetition of an effect that failed. */
export const retryDelayMs = (retry: number): number =>
  Math.min(limits.retryFirstDelayMs * 2 ** (retry - 1), limits.retryMaxDelayMs);
