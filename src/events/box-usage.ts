import type { Timestamp } from '../kernel/time.ts';

/** What a box uses, as its driver reads it. */
export interface ResourceUsage {
  /** Processor time used since the boot, in milliseconds. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly processes: number;
  /** Bytes since the boot; left out where the driver does not know. */
  readonly diskReadBytes?: number | undefined;
  readonly diskWrittenBytes?: number | undefined;
  readonly networkReceivedBytes?: number | undefined;
  readonly networkSentBytes?: number | undefined;
}

/** What a box uses, or last used, as its host measured it. */
export interface BoxUsage extends ResourceUsage {
  readonly measuredAt: Timestamp;
  /** 100 is one core; undefined when there was no earlier measurement to compare with. */
  readonly cpuPercent: number | undefined;
}

/** One process of a box. */
export interface BoxProcess {
  /** As the box sees it. */
  readonly pid: number;
  /** As the host sees it, and its parent. */
  readonly hostPid: number;
  readonly hostParentPid: number;
  readonly cpuMs: number;
  readonly memoryBytes: number;
  /** Frozen, or stopped by a signal. */
  readonly stopped: boolean;
  /** Arguments with spaces between them, or the name in brackets where there are none. As the process says: anything. */
  readonly command: string;
}
