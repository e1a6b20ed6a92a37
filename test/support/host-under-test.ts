import { afterEach } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { BoxUses } from '../../src/hosts/box-uses.ts';
import { GuestRegistry } from '../../src/hosts/guests.ts';
import { type Host, type HostOptions, startHost } from '../../src/hosts/host.ts';
import { directoryBoxes } from '../../src/hosts/host-boxes.ts';
import { ProgressBoard } from '../../src/hosts/progress.ts';
import { UsageMeter } from '../../src/hosts/usage-meter.ts';
import { defaultStepLimits } from '../../src/hosts/workshop.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { defaultTenant, type HostId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { backoff, type Plane, silent } from './plane.ts';

export interface HostUnderTest extends Host {
  readonly uses: BoxUses;
}

/** Starts hosts on the plane; those that a test has not closed are closed after it. */
export const hostsOn = (plane: () => Plane) => {
  const hosts = new Set<Host>();
  afterEach(async () => {
    for (const host of hosts) await host.close(1_000);
    hosts.clear();
  });
  return {
    start: async (
      hostId: HostId,
      driver: Driver,
      options: Partial<HostOptions> = {},
    ): Promise<HostUnderTest> => {
      const { door, store, queue } = plane();
      const uses = new BoxUses(systemClock);
      const host = await startHost({
        hostId,
        hostname: 'test',
        capacity: { cpus: 1, memoryMib: 1024 },
        driver,
        guests: new GuestRegistry(driver, () => {
          throw new Error('a simulated box has no guest');
        }),
        meter: new UsageMeter(driver, systemClock, silent),
        door,
        boxes: directoryBoxes(store.boxes, defaultTenant),
        outbox: store.outbox,
        queue,
        execs: store.execs,
        clock: systemClock,
        ids: randomIds,
        log: silent,
        crash: noCrash,
        limits: defaultStepLimits,
        progress: new ProgressBoard(),
        uses,
        version: '0.0.0',
        backoff,
        concurrency: 8,
        leaseMs: 30_000,
        signal: new AbortController().signal,
        ...options,
      });
      const started = { ...host, uses };
      hosts.add(started);
      return started;
    },
    stop: async (host: Host) => {
      hosts.delete(host);
      await host.close(1_000);
    },
  };
};
