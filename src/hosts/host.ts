import type { Logger } from 'pino';
import type { CommandDoor } from '../commands/door.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Backoff } from '../effects/backoff.ts';
import type { EffectQueue } from '../effects/effect-queue.ts';
import type { Outbox } from '../effects/outbox.ts';
import { persist } from '../effects/persist.ts';
import { EffectRunner } from '../effects/runner.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { Capacity } from '../events/host-events.ts';
import { assert } from '../kernel/assert.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type BoxId, defaultTenant, type HostId } from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';
import { effectHandlers } from './effect-handlers.ts';
import type { GuestRegistry } from './guests.ts';
import type { HostBoxes } from './host-boxes.ts';
import type { ProgressBoard } from './progress.ts';
import { Supervisor } from './supervisor.ts';
import type { UsageMeter } from './usage-meter.ts';
import type { StepLimits } from './workshop.ts';

export interface HostOptions {
  readonly hostId: HostId;
  readonly hostname: string;
  readonly capacity: Capacity;
  readonly driver: Driver;
  readonly guests: GuestRegistry;
  readonly meter: UsageMeter;
  readonly door: CommandDoor;
  readonly boxes: HostBoxes;
  readonly outbox: Outbox;
  readonly queue: EffectQueue;
  readonly clock: Clock;
  readonly log: Logger;
  readonly crash: CrashProbe;
  readonly limits: StepLimits;
  readonly progress: ProgressBoard;
  /** Of boxledger. */
  readonly version: string;
  readonly backoff: Backoff;
  /** Effects that may run at once. */
  readonly concurrency: number;
  readonly leaseMs: number;
  /** Ends the waiting for a database or queue that is not there yet. */
  readonly signal: AbortSignal;
}

export interface Host {
  readonly hostId: HostId;
  /** Of this join: part of every placement on this host. */
  readonly epoch: number;
  /** To be told of effects as they are committed in this process, so that a stop overtakes at once. */
  notice(effects: readonly EffectIntent[]): void;
  /** Brings a box into agreement with the log once none of its effects runs here: one of them was settled elsewhere. */
  look(boxId: BoxId): void;
  /** Effects that run may end within `timeoutMs`, then they are handed back. Boxes run on, for the next start to take over. */
  close(timeoutMs: number): Promise<void>;
}

/**
 * Joins with a new epoch, so that nothing that an earlier life of this host still says is heard; then makes host and log
 * agree about every box; then takes work. Waits for as long as database or queue are away.
 */
export const startHost = async (options: HostOptions): Promise<Host> => {
  const { hostId, outbox, log, guests } = options;
  const stubbornly = <T>(what: string, work: () => Promise<T>) => persist(what, options, work);
  const epoch = await stubbornly('joining', () => join(options));
  const handedBack = await stubbornly('taking over effects', () =>
    outbox.releaseEarlierEpochs(hostId, epoch),
  );
  log.info({ hostId, epoch, handedBack: handedBack.length }, 'host joined');

  const look = (boxId: BoxId) => void runner.whileAlone(boxId, () => supervisor.check(boxId));
  const supervisor = new Supervisor({ ...options, epoch, lookAgain: look });
  const runner: EffectRunner = new EffectRunner({
    ...options,
    epoch,
    handlers: effectHandlers(options),
    onEnd: ({ boxId }, view) => {
      if (view?.state === 'running') supervisor.boxIsUp(view);
      // The log went another way than the effect, or the effect could not be undone: host and log may disagree.
      if (view === null || view.state === 'failed') look(boxId);
    },
  });
  const giveUp = () => supervisor.close();
  options.signal.addEventListener('abort', giveUp, { once: true });
  try {
    await supervisor.reconcile();
    await stubbornly('taking work', () => runner.start());
  } catch (error) {
    supervisor.close();
    guests.close();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', giveUp);
  }
  return {
    hostId,
    epoch,
    notice: (effects) => runner.notice(effects),
    look,
    close: async (timeoutMs) => {
      supervisor.close();
      await runner.close(timeoutMs);
      guests.close();
      await leave(options, epoch);
    },
  };
};

const meta = (hostId: HostId) =>
  ({ tenant: defaultTenant, actor: { kind: 'system', id: `host/${hostId}` } }) as const;

/** Each try is a join of its own: one whose answer was lost leaves only a gap in the epochs. */
const join = async ({ hostId, hostname, driver, capacity, door }: HostOptions): Promise<number> => {
  const answer = await door.submit(
    { type: 'host.join', hostId, hostname, driver: driver.kind, capacity },
    meta(hostId),
  );
  if (answer.kind === 'refused') throw BoxledgerError.fromRefusal(answer.refusal);
  const [joined] = answer.events;
  assert(joined?.type === 'host.joined', 'a join under a new command id is one event');
  return joined.data.epoch;
};

/** Not waited for: a host that could not say good-bye joins again just so. */
const leave = async ({ hostId, door, log }: HostOptions, epoch: number): Promise<void> => {
  try {
    await door.submit({ type: 'host.leave', hostId, epoch }, meta(hostId));
  } catch (err) {
    log.warn({ err, hostId }, 'the host could not say that it leaves');
  }
};
