import type { EffectHandlers } from '../effects/effect-handler.ts';
import { bootHandler } from './boot-handler.ts';
import {
  cloneHandler,
  exportHandler,
  restoreHandler,
  snapshotHandler,
  snapshotRemovalHandler,
} from './disk-handlers.ts';
import { pauseHandler, resumeHandler } from './pause-handlers.ts';
import { shutdownHandler } from './shutdown-handler.ts';
import type { Workshop } from './workshop.ts';

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
  'disk.snapshot': snapshotHandler(shop),
  'disk.restore': restoreHandler(shop),
  'disk.clone': cloneHandler(shop),
  'disk.export': exportHandler(shop),
  'snapshot.remove': snapshotRemovalHandler(shop),
});
