import type { EffectHandler } from '../effects/effect-handler.ts';
import type { BoxId } from '../kernel/ids.ts';
import { quiesce, thaw } from './quiesce.ts';
import type { Workshop } from './workshop.ts';

/**
 * File systems first, as well as the guest can, then the processes, and their memory to disk where that is asked for. When
 * one of the latter fails, the box runs on as before.
 */
export const pauseHandler =
  (shop: Workshop): EffectHandler<'vm.pause'> =>
  async ({ process, toDisk }, context) => {
    const { driver } = shop;
    const { boxId } = context.intent;
    // An attempt before this one may have frozen the guest, which then could not be asked.
    if (context.attempt > 1) await driver.unfreeze(boxId, process);
    const quiesced = await quiesce(shop, boxId, context.signal);
    try {
      context.signal.throwIfAborted();
      if (toDisk === true) await driver.suspend(boxId, process, context.signal);
      else await driver.freeze(boxId, process);
      return quiesced;
    } catch (error) {
      await undoPause(shop, boxId, () => driver.unfreeze(boxId, process));
      throw error;
    }
  };

export const resumeHandler =
  (shop: Workshop): EffectHandler<'vm.resume'> =>
  async ({ process }, { intent: { boxId }, signal }) => {
    await shop.driver.unfreeze(boxId, process);
    const thawFailure = await thaw(shop, boxId, signal);
    return thawFailure === undefined ? {} : { thawFailure };
  };

/** Whatever was reached is taken back, also when the effect was broken off: its signal does not count here. */
const undoPause = async (shop: Workshop, boxId: BoxId, unfreeze: () => Promise<void>): Promise<void> => {
  await unfreeze().catch((err: unknown) =>
    shop.log.warn({ err, boxId }, 'a pause that failed: the processes could not be unfrozen'),
  );
  const failure = await thaw(shop, boxId, new AbortController().signal);
  if (failure !== undefined)
    shop.log.warn({ failure, boxId }, 'a pause that failed: the file systems could not be thawed');
};
