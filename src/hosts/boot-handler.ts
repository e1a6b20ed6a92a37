import { setTimeout as sleep } from 'node:timers/promises';
import type { Booted } from '../drivers/driver.ts';
import type { EffectContext, EffectHandler } from '../effects/effect-handler.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { withinLimit } from './time-limit.ts';
import type { Workshop } from './workshop.ts';

/** Between two pings of a guest that does not answer yet. */
const pingPauseMs = 20;

/**
 * Disk, process, guest: the box is up when its guest has answered. Whatever stops it before that, everything begun is
 * undone but the disk.
 */
export const bootHandler =
  (shop: Workshop): EffectHandler<'vm.boot'> =>
  async ({ name, options }, context) => {
    const { driver, guests } = shop;
    const { boxId, generation } = context.intent;
    guests.drop(boxId);
    const booted = await driver.boot({ boxId, name, generation, options }, context.signal);
    try {
      context.crash('boot.spawned', context.intent.kind);
      const guestMs = await guestAnswers(shop, booted, context);
      return {
        process: booted.process,
        tookOver: booted.tookOver,
        stagesMs: {
          queued: context.queuedMs,
          ...booted.stagesMs,
          ...(guestMs !== null && { guest: guestMs }),
        },
      };
    } catch (error) {
      guests.drop(boxId);
      await driver.kill(boxId).catch((err: unknown) => {
        shop.log.error(
          { err, boxId },
          'a boot that failed could not be undone; the box is ended when it is looked at next',
        );
      });
      throw error;
    }
  };

/** How long it took, in whole milliseconds; null when the driver has no guest. */
const guestAnswers = async (
  { driver, guests, clock, limits: { bootMs } }: Workshop,
  { process, identity }: Booted,
  { intent: { boxId }, signal }: EffectContext<'vm.boot'>,
): Promise<number | null> => {
  const guest = guests.of(boxId);
  if (guest === null) return null;
  const began = clock.monotonicMs();
  try {
    await withinLimit('the guest to answer', bootMs, signal, (limited) =>
      Promise.race([
        answered(() => guest.ping(limited), limited).then(
          () => identity && answered(() => guest.configure(identity, limited), limited),
        ),
        driver.ended(boxId, process, limited).then((exit) => {
          throw new BoxledgerError('Internal', 'the box ended before its guest answered', {
            details: { exit },
          });
        }),
      ]),
    );
  } catch (error) {
    throw signal.aborted ? error : await withConsole(driver, boxId, error);
  }
  return Math.round(clock.monotonicMs() - began);
};

/** Asks until there is an answer: a guest that does not listen yet is no failure. */
const answered = async (ask: () => Promise<unknown>, signal: AbortSignal): Promise<void> => {
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (signal.aborted || !(error instanceof BoxledgerError && error.retry)) throw error;
    }
    await sleep(pingPauseMs, undefined, { signal });
  }
};

/** What the box last said goes with the error: usually it says why. */
const withConsole = async (driver: Workshop['driver'], boxId: BoxId, error: unknown): Promise<unknown> => {
  if (!(error instanceof BoxledgerError)) return error;
  const console = await driver.consoleTail(boxId, limits.consoleTailBytes);
  return new BoxledgerError(error.code, error.message, {
    details: { ...error.details, console },
    cause: error,
  });
};
