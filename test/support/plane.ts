import { once } from 'node:events';
import pino, { type Logger } from 'pino';
import type { CommandDoor } from '../../src/commands/door.ts';
import { Door } from '../../src/commands/submit.ts';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import { Dispatcher } from '../../src/effects/dispatcher.ts';
import type { EffectContext, EffectHandlers } from '../../src/effects/effect-handler.ts';
import { postgresCarrier } from '../../src/effects/postgres-carrier.ts';
import { EffectRunner, type RunnerOptions } from '../../src/effects/runner.ts';
import { Sweeper } from '../../src/effects/sweeper.ts';
import { type BoxOptions, boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxView } from '../../src/events/box-view.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import type { EffectKind } from '../../src/events/effects.ts';
import type { RecordedEvent } from '../../src/events/envelope.ts';
import type { ProcessIdentity } from '../../src/events/process.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, boxStream, defaultTenant, type HostId, noVersion } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { eventually } from './eventually.ts';
import { createStore, type TestStore } from './store.ts';

export const silent: Logger = pino({ level: process.env['TEST_LOG'] ?? 'silent' });
export const backoff = { firstMs: 20, maxMs: 200, random: () => 0.5 };
export const meta = { tenant: defaultTenant, actor: { kind: 'user', id: 'tester' } } as const;

/** Everything between a command and a host, for real: log, outbox and queue in one Postgres. */
export interface Plane {
  readonly store: TestStore;
  readonly door: Door;
  readonly queue: BullmqEffectQueue;
  readonly sweeper: Sweeper;
  /** False: commits tell the queue nothing, as when the process died in between. */
  dispatching: boolean;
  /** Told of boxes by the sweeper. */
  onOverdue: (boxId: BoxId) => void;
  /** Submits, and fails the test when the answer is a refusal. */
  submit(command: BoxCommand): Promise<BoxView>;
  /** A box whose start on `hostId` has been asked for. */
  startingBox(hostId: HostId, epoch?: number, options?: Partial<BoxOptions>): Promise<BoxId>;
  join(hostId: HostId): Promise<number>;
  view(boxId: BoxId): Promise<BoxView>;
  /** Waits until the box is in the state. */
  until(boxId: BoxId, state: BoxView['state']): Promise<BoxView>;
  eventTypes(boxId: BoxId): Promise<string[]>;
  events(boxId: BoxId): Promise<readonly RecordedEvent[]>;
  runner(hostId: HostId, handlers: Partial<EffectHandlers>, options?: Partial<RunnerOptions>): EffectRunner;
  close(): Promise<void>;
}

export const createPlane = async (): Promise<Plane> => {
  const store = await createStore();
  const queue = new BullmqEffectQueue(await postgresCarrier(store.databaseUrl, silent), { log: silent });
  const dispatcher = new Dispatcher({
    queue,
    clock: systemClock,
    log: silent,
    crash: noCrash,
    onLeft: () => undefined,
  });
  const runners: EffectRunner[] = [];
  const door: Door = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    crash: noCrash,
    keepStates: 1_000,
    onEffects: (effects) => {
      if (plane.dispatching) dispatcher.dispatch(effects);
      for (const runner of runners) runner.notice(effects);
    },
  });
  const sweeper = new Sweeper({
    outbox: store.outbox,
    queue,
    door,
    log: silent,
    intervalMs: 50,
    onOverdue: (boxId) => plane.onOverdue(boxId),
  });
  const view = async (boxId: BoxId) => {
    const found = await store.boxes.find(defaultTenant, boxId);
    if (found.kind !== 'found') throw new Error(`${boxId}: ${found.kind}`);
    return found.box.view;
  };
  const submit = async (command: BoxCommand) => {
    const answer = await door.submit(command, meta);
    if (answer.kind === 'refused' || answer.view === null) throw new Error(JSON.stringify(answer));
    return answer.view;
  };
  const plane: Plane = {
    store,
    door,
    queue,
    sweeper,
    dispatching: true,
    onOverdue: () => undefined,
    submit,
    startingBox: async (hostId, epoch = 1, options = {}) => {
      const boxId = randomIds.boxId();
      await submit({ type: 'box.create', boxId, name: boxId, options: boxOptionsSchema.parse(options) });
      await submit({ type: 'box.start', boxId, placement: { hostId, epoch } });
      return boxId;
    },
    join: async (hostId) => {
      const answer = await door.submit(
        { type: 'host.join', hostId, hostname: 'test', driver: 'sim', capacity: { cpus: 1, memoryMib: 1 } },
        meta,
      );
      const joined = answer.kind === 'accepted' ? answer.events[0] : undefined;
      if (joined?.type !== 'host.joined') throw new Error(JSON.stringify(answer));
      return joined.data.epoch;
    },
    view,
    until: (boxId, state) =>
      eventually(`${boxId} is ${state}`, async () => {
        const now = await view(boxId);
        return now.state === state && now;
      }),
    eventTypes: async (boxId) => (await plane.events(boxId)).map(({ type }) => type),
    events: (boxId) => store.log.readStream(boxStream(boxId), noVersion, 100),
    runner: (hostId, handlers, options = {}) => {
      const runner = new EffectRunner({
        hostId,
        epoch: 1,
        queue,
        outbox: store.outbox,
        door,
        handlers: { ...instantHandlers, ...handlers },
        clock: systemClock,
        log: silent,
        crash: noCrash,
        backoff,
        concurrency: 8,
        leaseMs: 30_000,
        onEnd: () => undefined,
        ...options,
      });
      runners.push(runner);
      return runner;
    },
    close: async () => {
      await sweeper.close();
      for (const runner of runners) await runner.close(0);
      await dispatcher.idle();
      await queue.close();
      await store.close();
    },
  };
  return plane;
};

/** A handler that works until it is told to stop. */
export const untilAborted = async ({ signal }: Pick<EffectContext<EffectKind>, 'signal'>): Promise<never> => {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
};

export const someProcess: ProcessIdentity = { pid: 4242, startTime: '1', bootId: 'b' };

export const someBracket = { consistency: 'file-system', freezeMs: 0, pausedMs: 0, thawMs: 0 } as const;
export const someCopy = { sizeBytes: 1, copy: 'copy' } as const;

/** Handlers of a world in which everything succeeds at once. */
export const instantHandlers: EffectHandlers = {
  'vm.boot': async () => ({ process: someProcess, stagesMs: {}, tookOver: false }),
  'vm.shutdown': async () => ({ exit: { kind: 'code', code: 0 }, manner: 'graceful', failures: [] }),
  'vm.pause': async () => ({ consistency: 'file-system' }),
  'vm.resume': async () => ({}),
  'disk.remove': async () => ({}),
  'disk.snapshot': async () => ({ bracket: someBracket, ...someCopy }),
  'disk.restore': async () => someCopy,
  'disk.clone': async () => ({ bracket: someBracket, ...someCopy }),
  'disk.export': async () => ({ bracket: someBracket, sizeBytes: 1, sha256: '0'.repeat(64) }),
  'snapshot.remove': async () => ({}),
};

/** A door that is not there `times` times, before or after it has done what it was asked. */
export const flakyDoor = (
  door: CommandDoor,
  times: number,
  when: 'before' | 'after',
  error: Error,
): CommandDoor => {
  let left = times;
  return {
    submit: async (command, commandMeta) => {
      if (left > 0 && when === 'before') {
        left -= 1;
        throw error;
      }
      const answer = await door.submit(command, commandMeta);
      if (left > 0) {
        left -= 1;
        throw error;
      }
      return answer;
    },
  };
};
