import type { ApiDeps } from '../../src/api/api-deps.ts';
import type { GuestAccess } from '../../src/api/guest-access.ts';
import { Explainer } from '../../src/commands/explainer.ts';
import { LogFeed } from '../../src/commands/log-feed.ts';
import { LogTail } from '../../src/commands/log-tail.ts';
import { Moments } from '../../src/commands/moments.ts';
import { StreamStates } from '../../src/commands/stream-states.ts';
import { Door } from '../../src/commands/submit.ts';
import { createSimDriver, type SimDriver } from '../../src/drivers/sim-driver.ts';
import type { EffectOutcome } from '../../src/events/effects.ts';
import type { Failure } from '../../src/events/failure.ts';
import type { Guest } from '../../src/guest/guest.ts';
import { ArchiveShelf } from '../../src/hosts/archive-shelf.ts';
import { ExecKeeper } from '../../src/hosts/exec-keeper.ts';
import { directoryBoxes } from '../../src/hosts/host-boxes.ts';
import { ProgressBoard } from '../../src/hosts/progress.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, boxId, boxStream, defaultTenant, hostId } from '../../src/kernel/ids.ts';
import { admitExec } from '../../src/machines/box/admit-exec.ts';
import type { BoxState } from '../../src/machines/box/box-state.ts';
import { ServiceTally } from '../../src/main/metrics-tally.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { eventually } from '../support/eventually.ts';
import { backoff, silent, someBracket, someCopy } from '../support/plane.ts';
import { createStore, type TestStore } from '../support/store.ts';
import { type RunningApi, startApi, unreachableDeps } from './api-under-test.ts';

/** A real API over the real door and a real Postgres. Only the host is the test itself: it says what became of effects. */
export interface HandMade {
  readonly api: RunningApi;
  readonly store: TestStore;
  readonly deps: ApiDeps;
  /** Of the host: has only what the test makes on it. */
  readonly driver: SimDriver;
  readonly progress: ProgressBoard;
  /** Imports that are marked as pending. */
  readonly pending: Set<BoxId>;
  /** Says that the effect which the box waits for has come about, as soon as it waits for that one. */
  succeed(box: string, kind: EffectOutcome['kind'], result?: object): Promise<void>;
  fail(box: string, kind: EffectOutcome['kind'], failure: Failure): Promise<void>;
  close(): Promise<void>;
}

const theHost = hostId('hs_0123456789abcdef');
const placement = { hostId: theHost, epoch: 1 };
const process = { pid: 4711, startTime: '1', bootId: 'boot' };
const results = {
  'vm.boot': { process, stagesMs: { queued: 3, spawn: 40 }, tookOver: false },
  'vm.shutdown': { exit: { kind: 'code', code: 0 }, manner: 'graceful', failures: [] },
  'vm.pause': { consistency: 'file-system' },
  'vm.resume': {},
  'disk.remove': {},
  'disk.snapshot': { bracket: someBracket, ...someCopy },
  'disk.restore': someCopy,
  'disk.clone': { bracket: someBracket, ...someCopy },
  'disk.export': { bracket: someBracket, sizeBytes: 1, sha256: '0'.repeat(64) },
  'snapshot.remove': {},
} as const;

export const handMade = async (guest?: Guest, changed: Partial<ApiDeps> = {}): Promise<HandMade> => {
  const store = await createStore();
  const ids = randomIds;
  const door = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids,
    onEffects: () => undefined,
    crash: noCrash,
    keepStates: 100,
  });
  const keeper = new ExecKeeper({
    hostId: theHost,
    guests: { of: () => guest ?? null },
    boxes: directoryBoxes(store.boxes, defaultTenant),
    door,
    backoff,
    log: silent,
  });
  const tail = new LogTail(store.log, { pollIntervalMs: 200, keep: 1000, onError: () => undefined });
  const driver = createSimDriver();
  const progress = new ProgressBoard();
  const pending = new Set<BoxId>();
  const archives = new ArchiveShelf({
    driver,
    boxes: directoryBoxes(store.boxes, defaultTenant),
    pending: {
      add: async (id) => void pending.add(id),
      remove: async (id) => void pending.delete(id),
      list: async () => [...pending],
    },
    placement,
    clock: systemClock,
    log: silent,
  });
  const deps: ApiDeps = {
    ...unreachableDeps(),
    door,
    memory: door,
    boxes: store.boxes,
    log: store.log,
    feed: new LogFeed(store.log, tail),
    history: store.history,
    moments: new Moments(store.log, store.history),
    explainer: new Explainer({ store: store.events, log: store.log, clock: systemClock }),
    counts: new ServiceTally(systemClock.now()),
    execs: store.execs,
    keeper,
    guests: guestAccess(new StreamStates(store.events, store.log, 1), guest),
    progress,
    archives,
    placement: async () => placement,
    ids,
    ...changed,
  };
  const settle = async (box: string, outcome: EffectOutcome) => {
    const view = await eventually(`box ${box} waits for ${outcome.kind}`, async () => {
      const found = await store.boxes.find(defaultTenant, box);
      return found.kind === 'found' && found.box.view.effect?.kind === outcome.kind && found.box.view;
    });
    if (view.effect === null) throw new Error('no effect'); // just looked at
    const { effectId } = view.effect;
    const answer = await door.submit(
      { type: 'box.settleEffect', boxId: view.boxId, effectId, generation: view.generation, outcome },
      { tenant: defaultTenant, actor: { kind: 'system', id: 'hand' } },
    );
    if (answer.kind !== 'accepted') throw new Error(JSON.stringify(answer));
  };
  const api = await startApi(deps);
  return {
    api,
    store,
    deps,
    driver,
    progress,
    pending,
    succeed: (box, kind, result = results[kind]) =>
      settle(box, { kind, outcome: { status: 'succeeded', result } } as EffectOutcome), // of one kind
    fail: (box, kind, failure) => settle(box, { kind, outcome: { status: 'failed', failure } }),
    close: async () => {
      await api.close();
      keeper.close();
      tail.stop();
      await store.close();
    },
  };
};

const guestAccess = (states: StreamStates, guest: Guest | undefined): GuestAccess => ({
  admit: async (id, autoStart) => admitExec((await states.load(boxStream(id))).state as BoxState, autoStart), // the stream is a box's
  open: async () => {
    if (guest === undefined) throw new Error('no guest here');
    return guest;
  },
  usage: async () => undefined,
  processes: async () => [],
  console: async () => '',
  followConsole: async function* () {
    yield '';
  },
});

export const idOf = (box: { readonly boxId: string } | undefined): BoxId => boxId(box?.boxId ?? '');
