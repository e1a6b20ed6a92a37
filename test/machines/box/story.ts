import { expect } from 'vitest';
import type { z } from 'zod';
import type { BoxEvent } from '../../../src/events/box-events.ts';
import { boxOptionsSchema } from '../../../src/events/box-options.ts';
import type { BoxCommand } from '../../../src/events/commands.ts';
import type { CopyMethod } from '../../../src/events/disk-operations.ts';
import type { EffectIntent, EffectOutcome } from '../../../src/events/effects.ts';
import type { RecordedEvent } from '../../../src/events/envelope.ts';
import type { Failure } from '../../../src/events/failure.ts';
import {
  boxId,
  boxStream,
  defaultTenant,
  type EffectId,
  effectIdFor,
  exportId,
  hostId,
  snapshotId,
  type TenantId,
  version,
} from '../../../src/kernel/ids.ts';
import { plusMs, type Timestamp, timestamp } from '../../../src/kernel/time.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import { type BoxState, takeBoxEvent } from '../../../src/machines/box/box-state.ts';
import type { Begun, Decision } from '../../../src/machines/decision.ts';
import { recordedFor } from '../recorded.ts';

export const theBox = boxId('bx_0123456789abcdef');
export const placement = { hostId: hostId('hs_0123456789abcdef'), epoch: 1 };
export const process = { pid: 4711, startTime: '123456', bootId: 'boot' };
export const failure: Failure = { code: 'Unavailable', message: 'the world misbehaved' };
export const options = boxOptionsSchema.parse({ cpus: 2, labels: { team: 'red' } });
const epochStart = timestamp('2026-11-25T12:00:00.000Z');

/** The events that bring a new box into a state, most of them with short data. */
export const created: BoxEvent = { type: 'box.created', data: { name: 'web', options } };
export const createdWith = (asked: z.input<typeof boxOptionsSchema>): BoxEvent => ({
  type: 'box.created',
  data: { name: 'web', options: boxOptionsSchema.parse(asked) },
});
export const startRequested = (generation = 1, timeoutMs = 90_000): BoxEvent => ({
  type: 'box.startRequested',
  data: { placement, generation, timeoutMs },
});
export const started: BoxEvent = { type: 'box.started', data: { process, stagesMs: {}, tookOver: false } };
const startFailed: BoxEvent = { type: 'box.startFailed', data: { failure } };
export const stopRequested: BoxEvent = {
  type: 'box.stopRequested',
  data: { timeoutMs: 72_000, thenRemove: false },
};
const stopped: BoxEvent = {
  type: 'box.stopped',
  data: { exit: { kind: 'code', code: 0 }, manner: 'graceful', failures: [] },
};
const pauseRequested: BoxEvent = { type: 'box.pauseRequested', data: { timeoutMs: 65_000 } };
export const paused: BoxEvent = { type: 'box.paused', data: { consistency: 'file-system' } };
const resumeRequested: BoxEvent = { type: 'box.resumeRequested', data: { timeoutMs: 65_000 } };
export const removeRequested: BoxEvent = {
  type: 'box.removeRequested',
  data: { timeoutMs: 120_000, force: false },
};
const removed: BoxEvent = { type: 'box.removed', data: { diskAbandoned: false } };
export const lost: BoxEvent = { type: 'box.lost', data: { placement } };

const upTo = [created, startRequested(), started] as const;

/** For each state of the statechart, the history of a box that is in it. */
export const historyOf = {
  configured: [created],
  starting: [created, startRequested()],
  running: upTo,
  pausing: [...upTo, pauseRequested],
  paused: [...upTo, pauseRequested, paused],
  resuming: [...upTo, pauseRequested, paused, resumeRequested],
  stopping: [...upTo, stopRequested],
  stopped: [...upTo, stopRequested, stopped],
  failed: [created, startRequested(), startFailed],
  lost: [...upTo, lost],
  removing: [...upTo, stopRequested, stopped, removeRequested],
  removed: [...upTo, stopRequested, stopped, removeRequested, removed],
} as const satisfies Record<string, readonly BoxEvent[]>;

export type Answer = Decision<BoxState, BoxEvent>;

/** A box with its log, as the command layer would lead it. The clock goes on by a second with each event and command. */
export class Story {
  readonly log: RecordedEvent<BoxEvent>[] = [];
  readonly effects: EffectIntent[] = [];
  readonly cancelled: EffectId[] = [];
  readonly begun: Begun<BoxState, BoxEvent>[] = [];
  state: BoxState | undefined;
  now: Timestamp = epochStart;

  static of(...events: readonly BoxEvent[]): Story {
    const story = new Story();
    for (const event of events) story.record(event, story.tick());
    return story;
  }

  /** Another life that begins where this one is. */
  fork(): Story {
    const fork = new Story();
    fork.log.push(...this.log);
    fork.state = this.state;
    fork.now = this.now;
    return fork;
  }

  /** Appends an event as it is, past `decide`. Returns the effects that the statechart asks for. */
  record(event: BoxEvent, occurredAt: Timestamp): readonly EffectIntent[] {
    const recorded = recordedFor(boxStream(theBox), event, this.log.length + 1, occurredAt);
    const effects = takeBoxEvent(this.state, recorded)?.effects ?? [];
    this.state = boxAggregate.evolve(this.state, recorded);
    this.log.push(recorded);
    return effects;
  }

  /** Asks, and appends what was accepted: the log must then say the same, state and effects, as the decision did. */
  when(command: BoxCommand, tenant: TenantId = defaultTenant): Answer {
    const now = this.tick();
    const answer = boxAggregate.decide(this.state, command, { now, version: this.version, tenant });
    if (answer.kind !== 'accepted') return answer;
    expect(answer.events.flatMap((event) => this.record(event, now))).toEqual(answer.effects);
    expect(this.state && boxAggregate.persist(this.state)).toEqual(boxAggregate.persist(answer.state));
    this.effects.push(...answer.effects);
    this.cancelled.push(...answer.cancels);
    this.begun.push(...answer.begins);
    return answer;
  }

  /** The outcome of the effect that the box waits for. */
  settle(outcome: EffectOutcome, told: { effectId?: EffectId; generation?: number } = {}): Answer {
    return this.when({
      type: 'box.settleEffect',
      boxId: theBox,
      effectId: told.effectId ?? this.view.effect?.effectId ?? effectIdFor(theBox, version(1), outcome.kind),
      generation: told.generation ?? this.view.generation,
      outcome,
    });
  }

  get view() {
    if (this.state === undefined) throw new Error('the story has not begun');
    const view = boxAggregate.view(this.state);
    if (view === null) throw new Error('a box has a view');
    return view;
  }

  get version() {
    return version(this.log.length);
  }

  tick(ms = 1000): Timestamp {
    this.now = plusMs(this.now, ms);
    return this.now;
  }
}

export const bracket = { consistency: 'file-system', freezeMs: 3, pausedMs: 5, thawMs: 2 } as const;
const diskCopy = { sizeBytes: 4096, copy: 'reflink' } as const;
const aSnapshot = { snapshotId: snapshotId('sn_0123456789abcdef'), name: 'before' } as const;
export const theClone = boxId('bx_fedcba9876543210');
const theExport = exportId('xp_0123456789abcdef');

/** The `n`-th of the snapshots that tests know by number. */
export const numbered = (n: number) => snapshotId(`sn_${String(n).padStart(16, '0')}`);

/** A snapshot that the box has. */
export const snapshotted = (name: string, n: number, copy: CopyMethod = 'reflink'): readonly BoxEvent[] => {
  const it = { snapshotId: numbered(n), name };
  return [
    { type: 'box.snapshotRequested', data: { ...it, consistency: 'best-effort', timeoutMs: 3_660_000 } },
    { type: 'box.snapshotCreated', data: { ...it, bracket, sizeBytes: 4096, copy } },
  ];
};
export const keptSnapshot = snapshotted('kept', 99);

/** A history in which the snapshots were made as soon as that could be, if it ever could. */
export const withSnapshots = (
  history: readonly BoxEvent[],
  ...snapshots: readonly (readonly BoxEvent[])[]
): readonly BoxEvent[] => {
  const at = history.findIndex(({ type }) => type === 'box.started' || type === 'box.startFailed') + 1;
  return at === 0 ? history : [...history.slice(0, at), ...snapshots.flat(), ...history.slice(at)];
};

export const command = {
  create: { type: 'box.create', boxId: theBox, name: 'web', options },
  start: { type: 'box.start', boxId: theBox, placement },
  stop: { type: 'box.stop', boxId: theBox },
  pause: { type: 'box.pause', boxId: theBox },
  resume: { type: 'box.resume', boxId: theBox },
  remove: { type: 'box.remove', boxId: theBox, force: false },
  forceRemove: { type: 'box.remove', boxId: theBox, force: true },
  restart: { type: 'box.restart', boxId: theBox, placement },
  rename: { type: 'box.rename', boxId: theBox, name: 'other' },
  snapshot: { type: 'box.snapshot', boxId: theBox, ...aSnapshot, consistency: 'best-effort' },
  removeSnapshot: { type: 'box.removeSnapshot', boxId: theBox, snapshot: 'kept' },
  restore: { type: 'box.restore', boxId: theBox, snapshot: 'kept' },
  clone: {
    type: 'box.clone',
    boxId: theBox,
    clones: [{ boxId: theClone, name: 'copy' }],
    consistency: 'best-effort',
  },
  export: {
    type: 'box.export',
    boxId: theBox,
    exportId: theExport,
    includeEnv: false,
    consistency: 'best-effort',
  },
} as const satisfies Record<string, BoxCommand>;

export const reportExit = (generation: number): BoxCommand => ({
  type: 'box.reportExit',
  boxId: theBox,
  generation,
  exit: { kind: 'signal', signal: 'SIGKILL' },
  placement,
});

/** An outcome of each kind that says that all went well. */
export const success = {
  'vm.boot': {
    kind: 'vm.boot',
    outcome: { status: 'succeeded', result: { process, stagesMs: { spawn: 12 }, tookOver: false } },
  },
  'vm.shutdown': {
    kind: 'vm.shutdown',
    outcome: {
      status: 'succeeded',
      result: { exit: { kind: 'code', code: 0 }, manner: 'graceful', failures: [] },
    },
  },
  'vm.pause': { kind: 'vm.pause', outcome: { status: 'succeeded', result: { consistency: 'crash' } } },
  'vm.resume': { kind: 'vm.resume', outcome: { status: 'succeeded', result: {} } },
  'disk.remove': { kind: 'disk.remove', outcome: { status: 'succeeded', result: {} } },
  'disk.snapshot': {
    kind: 'disk.snapshot',
    outcome: { status: 'succeeded', result: { bracket, ...diskCopy } },
  },
  'disk.restore': { kind: 'disk.restore', outcome: { status: 'succeeded', result: diskCopy } },
  'disk.clone': { kind: 'disk.clone', outcome: { status: 'succeeded', result: { bracket, ...diskCopy } } },
  'disk.export': {
    kind: 'disk.export',
    outcome: { status: 'succeeded', result: { bracket, sizeBytes: 2048, sha256: '0'.repeat(64) } },
  },
  'snapshot.remove': { kind: 'snapshot.remove', outcome: { status: 'succeeded', result: {} } },
} as const satisfies { [Kind in EffectOutcome['kind']]: Extract<EffectOutcome, { kind: Kind }> };

export const failed = (kind: EffectOutcome['kind']): EffectOutcome => ({
  kind,
  outcome: { status: 'failed', failure },
});
