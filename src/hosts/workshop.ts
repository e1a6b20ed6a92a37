import type { Logger } from 'pino';
import type { Driver } from '../drivers/driver.ts';
import { limits } from '../kernel/limits.ts';
import type { Clock } from '../kernel/ports.ts';
import type { GuestRegistry } from './guests.ts';
import type { ProgressBoard } from './progress.ts';
import type { UsageMeter } from './usage-meter.ts';

/** How long each step may take, in milliseconds. */
export interface StepLimits {
  readonly bootMs: number;
  readonly shutdownTermMs: number;
  readonly freezeMs: number;
  readonly thawMs: number;
}

export const defaultStepLimits: StepLimits = {
  bootMs: limits.bootTimeoutMs,
  shutdownTermMs: limits.shutdownTermTimeoutMs,
  freezeMs: limits.freezeTimeoutMs,
  thawMs: limits.thawTimeoutMs,
};

/** What every handler works with. */
export interface Workshop {
  readonly driver: Driver;
  readonly guests: GuestRegistry;
  readonly meter: UsageMeter;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: StepLimits;
  readonly progress: ProgressBoard;
  /** Of boxledger, for what is kept beyond it. */
  readonly version: string;
}
