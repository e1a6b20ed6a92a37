import { Door } from '../../src/commands/submit.ts';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import { Dispatcher } from '../../src/effects/dispatcher.ts';
import { postgresCarrier } from '../../src/effects/postgres-carrier.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxView } from '../../src/events/box-view.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { openStore } from '../../src/store/store.ts';
import { meta, silent } from './plane.ts';
import { silentLog } from './store.ts';

/**
 * Commands from another process than the server's, into the same log: what a command can be given and its service not yet, and
 * what a host has to learn of without being told.
 */
export const openSecondDoor = async (databaseUrl: string) => {
  const store = await openStore({ databaseUrl, log: silentLog });
  const queue = new BullmqEffectQueue(await postgresCarrier(databaseUrl, silent), { log: silent });
  const dispatcher = new Dispatcher({
    queue,
    clock: systemClock,
    log: silent,
    crash: noCrash,
    onLeft: () => undefined,
  });
  const door = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    onEffects: (effects) => dispatcher.dispatch(effects),
    crash: noCrash,
    keepStates: 1,
  });
  const submit = async (command: BoxCommand): Promise<BoxView> => {
    const answer = await door.submit(command, meta);
    if (answer.kind === 'refused' || answer.view === null) throw new Error(JSON.stringify(answer));
    return answer.view;
  };
  return {
    /** `options` as a caller gives them. */
    create: async (name: string, options: object): Promise<string> => {
      const boxId = randomIds.boxId();
      await submit({ type: 'box.create', boxId, name, options: boxOptionsSchema.parse(options) });
      return boxId;
    },
    pause: (boxId: string, maxDurationMs: number) =>
      submit({ type: 'box.pause', boxId: parseBoxId(boxId), maxDurationMs }),
    close: async () => {
      await dispatcher.idle();
      await queue.close();
      await store.close();
    },
  };
};
