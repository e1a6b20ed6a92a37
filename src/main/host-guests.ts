import type { GuestAccess } from '../api/guest-access.ts';
import { StreamStates } from '../commands/stream-states.ts';
import type { Driver } from '../drivers/driver.ts';
import type { GuestRegistry } from '../hosts/guests.ts';
import type { UsageMeter } from '../hosts/usage-meter.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxStream } from '../kernel/ids.ts';
import { admitExec } from '../machines/box/admit-exec.ts';
import { noSuchBox } from '../machines/box/box-refusals.ts';
import type { BoxState } from '../machines/box/box-state.ts';
import type { Store } from '../store/store.ts';

/** The way into boxes that run on this very host. */
export const hostGuests = (
  store: Store,
  driver: Driver,
  { guests, meter }: { readonly guests: GuestRegistry; readonly meter: UsageMeter },
): GuestAccess => {
  const states = new StreamStates(store.events, store.log, 1);
  return {
    admit: async (boxId, autoStart) => {
      const { state } = await states.load(boxStream(boxId));
      if (state === undefined) return { kind: 'refused', refusal: noSuchBox(boxId) };
      return admitExec(state as BoxState, autoStart); // the stream's id says that it is a box's
    },
    open: async ({ boxId }) => {
      const guest = guests.of(boxId);
      if (guest === null)
        throw new BoxledgerError(
          'Unsupported',
          `the ${driver.kind} driver has no guest: nothing can run in its boxes`,
          {
            help: 'Serve with another driver.',
          },
        );
      return guest;
    },
    usage: ({ boxId, view }) => meter.measure(boxId, view.generation),
    processes: (boxId) => driver.processes(boxId),
    console: (boxId, maxBytes) => driver.consoleTail(boxId, maxBytes),
    followConsole: (...asked) => driver.followConsole(...asked),
  };
};
