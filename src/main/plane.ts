import { availableParallelism, hostname, totalmem } from 'node:os';
import { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import { type ApiServer, createApiServer } from '../api/server.ts';
import { packageVersion } from '../cli/commands/version.ts';
import type { CommandDoor, CommandMemory } from '../commands/door.ts';
import { Explainer } from '../commands/explainer.ts';
import { Listeners, type ListenOptions } from '../commands/listeners.ts';
import { LogFeed } from '../commands/log-feed.ts';
import { LogTail } from '../commands/log-tail.ts';
import { Moments } from '../commands/moments.ts';
import { Door } from '../commands/submit.ts';
import type { Driver } from '../drivers/driver.ts';
import { Dispatcher } from '../effects/dispatcher.ts';
import type { EffectQueue } from '../effects/effect-queue.ts';
import { persist } from '../effects/persist.ts';
import { Sweeper } from '../effects/sweeper.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { Capacity } from '../events/host-events.ts';
import type { Actor } from '../events/schemas.ts';
import { connectGuest } from '../guest/grpc-guest.ts';
import { ArchiveShelf, type PendingImports } from '../hosts/archive-shelf.ts';
import { BoxUses } from '../hosts/box-uses.ts';
import { ExecKeeper } from '../hosts/exec-keeper.ts';
import { GuestRegistry } from '../hosts/guests.ts';
import { type Host, startHost } from '../hosts/host.ts';
import { directoryBoxes } from '../hosts/host-boxes.ts';
import { type Appended, type Missed, overheardDoor } from '../hosts/overheard-door.ts';
import { ProgressBoard } from '../hosts/progress.ts';
import { UsageMeter } from '../hosts/usage-meter.ts';
import { defaultStepLimits } from '../hosts/workshop.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { defaultTenant, type HostId } from '../kernel/ids.ts';
import type { Store } from '../store/store.ts';
import { hostGuests } from './host-guests.ts';
import { meteredDoor } from './metered-door.ts';
import { answerObserver, callObserver } from './metrics-observers.ts';
import type { Metrics } from './metrics-registry.ts';
import { ServiceTally } from './metrics-tally.ts';
import { randomIds } from './random-ids.ts';
import { systemClock } from './system-clock.ts';
import { Teardown } from './teardown.ts';

export interface PlaneOptions {
  /** What is measured besides the counts that every plane keeps; undefined: nothing. */
  readonly metrics?: Metrics | undefined;
  readonly store: Store;
  readonly queue: EffectQueue;
  readonly driver: Driver;
  readonly hostId: HostId;
  readonly pendingImports: PendingImports;
  /** Bearer token of the API; undefined: none is asked for. */
  readonly token: string | undefined;
  readonly localActor: Actor;
  readonly log: Logger;
  readonly crash: CrashProbe;
  /** Gives up waiting for services that are not there. */
  readonly signal: AbortSignal;
}

/** One control plane and one host in one process. */
export interface Plane {
  readonly door: CommandDoor;
  readonly feed: LogFeed;
  readonly api: ApiServer;
  readonly tally: ServiceTally;
  /** Listeners in this process; they end with the plane. To be started. */
  listen(from: ListenOptions['from']): Listeners;
  /** Ends in good order; boxes run on, for the next start to take over. Store, queue and driver are the caller's. */
  close(): Promise<void>;
}

const backoff = { firstMs: 100, maxMs: 5_000, random: Math.random };
const keepStates = 10_000;
const tailOptions = { pollIntervalMs: 500, keep: 2_000 };
const effectsAtOnce = 32;
const leaseMs = 15_000;
const closeTimeoutMs = 10_000;

export const openPlane = async (options: PlaneOptions): Promise<Plane> => {
  const { store, queue, log } = options;
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    const { hostDoor, door, memory, feed, asked, tally } = openCommandSide(options, teardown);
    const uses = new BoxUses(systemClock);
    const guests = new GuestRegistry(options.driver, connectGuest, uses);
    const progress = new ProgressBoard();
    const meter = new UsageMeter(options.driver, systemClock, log);
    const host = await joinHost(options, { door: hostDoor, guests, meter, progress, uses });
    asked.on('effects', (effects) => host.notice(effects));
    asked.on('appended', (appended) => host.hear(appended));
    asked.on('missed', (missed) => host.missed(missed));
    teardown.add('host', () => host.close(closeTimeoutMs));
    const keeper = openKeeper(options, door, guests);
    teardown.add('execs', async () => keeper.close());
    const open = await keeper.recover(store.execs);
    if (open > 0) log.info({ open }, 'execs were under way when the last server ended');
    const sweeper = new Sweeper({
      outbox: store.outbox,
      queue,
      door,
      log,
      onOverdue: (boxId) => host.look(boxId),
    });
    asked.on('left', () => sweeper.refill());
    sweeper.start();
    teardown.add('sweeper', () => sweeper.close());
    const archives = await openArchives(options, host);
    teardown.add('archives', async () => archives.close());
    const api = openApi(options, {
      door,
      memory,
      feed,
      guests,
      meter,
      host,
      tally,
      keeper,
      progress,
      archives,
    });
    teardown.add('api', () => api.close(closeTimeoutMs));
    const listen = (from: ListenOptions['from']) => {
      const listeners = new Listeners(feed, store.log, {
        from,
        tenant: defaultTenant,
        onError: (err, name) => log.error({ err, name }, 'a listener failed'),
      });
      teardown.add('listeners', () => listeners.close());
      return listeners;
    };
    return { door, feed, api, tally, listen, close: () => teardown.run() };
  } catch (error) {
    await teardown.run();
    throw error;
  }
};

/** What commands pass through, and what is told of their events. */
const openCommandSide = ({ store, queue, log, crash, metrics }: PlaneOptions, teardown: Teardown) => {
  const asked = new EventEmitter<{
    effects: [readonly EffectIntent[]];
    appended: [Appended];
    missed: [Missed];
    left: [];
  }>();
  const onLeft = () => void asked.emit('left');
  const dispatcher = new Dispatcher({ queue, clock: systemClock, log, crash, onLeft });
  teardown.add('dispatcher', () => dispatcher.idle());
  asked.on('effects', (effects) => dispatcher.dispatch(effects));
  const tally = new ServiceTally(systemClock.now());
  const measure = metrics && answerObserver(metrics);
  const ownDoor = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    onEffects: (effects) => asked.emit('effects', effects),
    crash,
    keepStates,
  });
  const hostDoor = meteredDoor(ownDoor, (command, answer, durationMs) => {
    if (answer !== undefined) tally.answered(command, answer);
    measure?.(command, answer, durationMs);
  });
  // What the host submits by itself it hears of by itself.
  const door = overheardDoor(hostDoor, {
    hear: (appended) => asked.emit('appended', appended),
    missed: (missed) => asked.emit('missed', missed),
  });
  const tail = new LogTail(store.log, {
    ...tailOptions,
    onError: (err) => log.warn({ err }, 'the log could not be read; it is tried again'),
  });
  teardown.add('log tail', () => tail.stop());
  return { hostDoor, door, memory: ownDoor, feed: new LogFeed(store.log, tail), asked, tally };
};

type HostSide = Pick<ApiSide, 'door' | 'guests' | 'meter' | 'progress'> & { readonly uses: BoxUses };

const joinHost = (options: PlaneOptions, side: HostSide): Promise<Host> =>
  startHost({
    ...options,
    ...side,
    hostname: hostname(),
    capacity: hostCapacity(),
    boxes: directoryBoxes(options.store.boxes, defaultTenant),
    outbox: options.store.outbox,
    execs: options.store.execs,
    clock: systemClock,
    ids: randomIds,
    limits: defaultStepLimits,
    version: packageVersion(),
    backoff,
    concurrency: effectsAtOnce,
    leaseMs,
  });

const openKeeper = (options: PlaneOptions, door: CommandDoor, guests: GuestRegistry): ExecKeeper =>
  new ExecKeeper({
    hostId: options.hostId,
    guests,
    boxes: directoryBoxes(options.store.boxes, defaultTenant),
    door,
    backoff: { firstMs: 50, maxMs: 1_000, random: Math.random },
    log: options.log,
  });

interface ApiSide {
  readonly door: CommandDoor;
  readonly memory: CommandMemory;
  readonly feed: LogFeed;
  readonly guests: GuestRegistry;
  readonly meter: UsageMeter;
  readonly host: Host;
  readonly progress: ProgressBoard;
  readonly tally: ServiceTally;
  readonly archives: ArchiveShelf;
  readonly keeper: ExecKeeper;
}

const openArchives = async (
  { driver, store, pendingImports, log, signal }: PlaneOptions,
  { hostId, epoch }: Host,
): Promise<ArchiveShelf> => {
  const shelf = new ArchiveShelf({
    driver,
    boxes: directoryBoxes(store.boxes, defaultTenant),
    pending: pendingImports,
    placement: { hostId, epoch },
    clock: systemClock,
    log,
  });
  await persist('imports that were left', { backoff, log, signal }, () => shelf.start());
  return shelf;
};

const openApi = (
  options: PlaneOptions,
  { door, memory, feed, guests, meter, host, tally, keeper, progress, archives }: ApiSide,
): ApiServer =>
  createApiServer({
    door,
    memory,
    boxes: options.store.boxes,
    log: options.store.log,
    feed,
    history: options.store.history,
    moments: new Moments(options.store.log, options.store.history),
    explainer: new Explainer({ store: options.store.events, log: options.store.log, clock: systemClock }),
    execs: options.store.execs,
    keeper,
    guests: hostGuests(options.store, options.driver, { guests, meter }),
    counts: tally,
    callObserver: options.metrics && callObserver(options.metrics),
    progress,
    archives,
    placement: async () => ({ hostId: host.hostId, epoch: host.epoch }),
    capacity: hostCapacity(),
    ids: randomIds,
    tenant: defaultTenant,
    localActor: options.localActor,
    token: options.token,
    logger: options.log,
  });

const hostCapacity = (): Capacity => ({
  cpus: availableParallelism(),
  memoryMib: Math.floor(totalmem() / 1024 / 1024),
});
