import type { Logger } from 'pino';
import type { CommandDoor } from '../commands/door.ts';
import type { ExecDirectory } from '../commands/event-store.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Backoff } from '../effects/backoff.ts';
import type { EffectQueue } from '../effects/effect-queue.ts';
import type { Outbox } from '../effects/outbox.ts';
import { persist } from '../effects/persist.ts';
import { EffectRunner } from '../effects/runner.ts';
import type { BoxView } from '../events/box-view.ts';
import type { EffectIntent, EffectKind } from '../events/effects.ts';
import type { Capacity } from '../events/host-events.ts';
import { assert } from '../kernel/assert.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type BoxId, defaultTenant, type HostId } from '../kernel/ids.ts';
import type { Clock, IdSource } from '../kernel/ports.ts';
import type { BoxUses } from './box-uses.ts';
import { effectHandlers } from './effect-handlers.ts';
import type { GuestRegistry } from './guests.ts';
import { HealthProber } from './health-prober.ts';
import type { HostBoxes } from './host-boxes.ts';
import { Leftovers } from './leftovers.ts';
import { NewestVersions } from './newest-versions.ts';
import { type Appended, type Missed, type Overhearing, overheardDoor } from './overheard-door.ts';
import type { ProgressBoard } from './progress.ts';
import { Supervisor } from './supervisor.ts';
import { Timekeeper } from './timekeeper.ts';
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
  readonly execs: Pick<ExecDirectory, 'open' | 'lastUses'>;
  readonly clock: Clock;
  readonly ids: Pick<IdSource, 'execId'>;
  readonly log: Logger;
  readonly crash: CrashProbe;
  readonly limits: StepLimits;
  readonly progress: ProgressBoard;
  readonly uses: BoxUses;
  /** Of boxledger. */
  readonly version: string;
  readonly backoff: Backoff;
  /** Effects that may run at once. */
  readonly concurrency: number;
  readonly leaseMs: number;
  /** Ends the waiting for a database or queue that is not there yet. */
  readonly signal: AbortSignal;
}

export interface Host extends Overhearing {
  readonly hostId: HostId;
  /** Of this join: part of every placement on this host. */
  readonly epoch: number;
  /** To be told of effects as they are committed in this process, so that a stop overtakes at once. */
  notice(effects: readonly EffectIntent[]): void;
  /**
   * To be told of what others' commands in this process append, so that what holds a box, or begins in it, is known at once. Of what is
   * appended elsewhere a host learns by the effects that it leads to here.
   */
  hear(appended: Appended): void;
  /** As `hear`, where it is not known what was appended: the box is looked at. */
  missed(missed: Missed): void;
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
  const { hear, missed, door, care } = careFor(options, look);
  const supervisor = new Supervisor({
    ...options,
    door,
    epoch,
    lookAgain: look,
    leftovers: care.leftovers,
    onView: (present) => hear({ events: [], ...present }),
  });
  const runner: EffectRunner = new EffectRunner({
    ...options,
    door,
    epoch,
    handlers: effectHandlers(options),
    onEnd: (intent, view) => {
      if (view?.state === 'running') supervisor.boxIsUp(view);
      for (const boxId of toBeLookedAt(intent, view)) look(boxId);
    },
  });
  const stopCaring = () => {
    supervisor.close();
    care.close();
  };
  options.signal.addEventListener('abort', stopCaring, { once: true });
  try {
    await stubbornly('the list of open execs', () => options.uses.recover(options.execs, hostId));
    await supervisor.reconcile();
    await stubbornly('taking work', () => runner.start());
  } catch (error) {
    stopCaring();
    guests.close();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', stopCaring);
  }
  return {
    hostId,
    epoch,
    notice: (effects) => runner.notice(effects),
    hear,
    missed,
    look,
    close: async (timeoutMs) => {
      stopCaring();
      await runner.close(timeoutMs);
      guests.close();
      await leave(options, epoch);
    },
  };
};

const boxesRemembered = 100_000;

/** What a host does for its boxes by itself, besides keeping them in agreement with the log. */
const careFor = (options: HostOptions, look: (boxId: BoxId) => void) => {
  const { uses } = options;
  const newest = new NewestVersions(boxesRemembered);
  const hear = ({ events, view, version }: Appended): void => {
    uses.hear(events);
    // Answers, and what is read from the log meanwhile, come in any order.
    if (view === null || !newest.admit(view.boxId, version)) return;
    timekeeper.hear(view);
    prober.hear(view);
  };
  const missed = ({ command, view }: Missed): void => {
    uses.missed(command);
    if (view !== null) look(view.boxId);
  };
  const door = overheardDoor(options.door, { hear, missed });
  const timekeeper: Timekeeper = new Timekeeper({ ...options, door });
  const prober: HealthProber = new HealthProber({ ...options, door });
  const leftovers = new Leftovers(options);
  const close = () => {
    timekeeper.close();
    prober.close();
  };
  return { hear, missed, door, care: { leftovers, close } };
};

/** Kinds of work on a disk in which the box may have been held, or after which snapshots may be left. */
const operations: ReadonlySet<EffectKind> = new Set([
  'disk.snapshot',
  'disk.restore',
  'disk.clone',
  'disk.export',
  'snapshot.remove',
]);

/**
 * Where host and log may disagree once an effect has ended: the log went another way, or it could not be undone. After work on
 * a disk the box is looked at in any case, and so are the clones that it was to make: that is cheap next to the work.
 */
const toBeLookedAt = (intent: EffectIntent, view: BoxView | null): readonly BoxId[] => {
  const { kind, boxId, args } = intent;
  if (kind === 'disk.clone') return [boxId, ...args.clones.map((clone) => clone.boxId)];
  return view === null || view.state === 'failed' || operations.has(kind) ? [boxId] : [];
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
