import type { Logger } from 'pino';
import type { Driver } from '../drivers/driver.ts';
import type { EffectHandlers } from '../effects/effect-handler.ts';
import { limits } from '../kernel/limits.ts';
import type { Clock } from '../kernel/ports.ts';
import { bootHandler } from './boot-handler.ts';
import type { GuestRegistry } from './guests.ts';
import { pauseHandler, resumeHandler } from './pause-handlers.ts';
import { shutdownHandler } from './shutdown-handler.ts';

/** How long each step may take, in milliseconds. */
export interface StepLimits {
  readonly bootMs: number;
  /** For a box to shut down by itself; undefined: what the effect's deadline leaves for it. */
  readonly shutdownGuestMs: number | undefined;
  readonly shutdownTermMs: number;
  readonly freezeMs: number;
  readonly thawMs: number;
}

export const defaultStepLimits: StepLimits = {
  bootMs: limits.bootTimeoutMs,
  shutdownGuestMs: undefined,
  shutdownTermMs: limits.shutdownTermTimeoutMs,
  freezeMs: limits.freezeTimeoutMs,
  thawMs: limits.thawTimeoutMs,
};

/** What every handler works with. */
export interface Workshop {
  readonly driver: Driver;
  readonly guests: GuestRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: StepLimits;
}

/** What the effects of a host do to its world. */
export const effectHandlers = (shop: Workshop): EffectHandlers => ({
  'vm.boot': bootHandler(shop),
  'vm.shutdown': shutdownHandler(shop),
  'vm.pause': pauseHandler(shop),
  'vm.resume': resumeHandler(shop),
  'disk.remove': async (_args, { intent: { boxId } }) => {
    shop.guests.drop(boxId);
    // Nothing should run; a disk is never taken from under what does.
    await shop.driver.kill(boxId);
    await shop.driver.removeDisk(boxId);
    return {};
  },
});
