import type { Logger } from 'pino';
import { createSimDriver } from '../src/drivers/sim-driver.ts';
import { BullmqEffectQueue } from '../src/effects/bullmq-queue.ts';
import { postgresCarrier } from '../src/effects/postgres-carrier.ts';
import { redisCarrier } from '../src/effects/redis-carrier.ts';
import { noCrash } from '../src/kernel/crash-point.ts';
import { BoxledgerError } from '../src/kernel/errors.ts';
import { defaultTenant } from '../src/kernel/ids.ts';
import { openPlane } from '../src/main/plane.ts';
import { randomIds } from '../src/main/random-ids.ts';
import { openStore } from '../src/store/store.ts';
import type { Plane } from './box-life.ts';

/** The plane that `serve` runs, on an empty database and simulated boxes. */
export interface SimPlane extends Plane {
  readonly queue: 'Postgres' | 'Redis';
  close(): Promise<void>;
}

/** Where nobody waits any more, something hangs: better an end than a wrong figure. */
const waitTimeoutMs = 60_000;

/** The queue is on Redis when `redisUrl` is given. */
export const openSimPlane = async (
  databaseUrl: string,
  redisUrl: string | undefined,
  log: Logger,
): Promise<SimPlane> => {
  const store = await openStore({ databaseUrl, log });
  await store.migrate();
  const carrier = await (redisUrl ? redisCarrier(redisUrl, log) : postgresCarrier(databaseUrl, log));
  const queue = new BullmqEffectQueue(carrier, { log });
  const hostId = randomIds.hostId();
  const plane = await openPlane({
    store,
    queue,
    driver: createSimDriver(),
    hostId,
    // Simulated disks do not outlast the process, so nothing of an import can.
    pendingImports: { add: async () => undefined, remove: async () => undefined, list: async () => [] },
    token: undefined,
    localActor: { kind: 'system', id: 'bench' },
    log,
    crash: noCrash,
    signal: new AbortController().signal,
  });
  return {
    queue: redisUrl ? 'Redis' : 'Postgres',
    door: plane.door,
    ids: randomIds,
    placement: { hostId, epoch: 1 }, // a new host's first join
    waitForState: async (boxId, state) => {
      await plane.feed.untilBox(
        boxId,
        async () => {
          const found = await store.boxes.find(defaultTenant, boxId);
          const box = found.kind === 'found' ? found.box : undefined;
          if (box?.state === 'failed')
            throw new BoxledgerError('Internal', box.view.failure?.message ?? 'the box failed');
          return box?.state === state ? box : undefined;
        },
        AbortSignal.timeout(waitTimeoutMs),
      );
    },
    close: async () => {
      await plane.close();
      await queue.close();
      await store.close();
    },
  };
};
