import { randomUUID } from 'node:crypto';
import type { AppendRequest, BoxRow, EventStore } from '../src/commands/event-store.ts';
import { Door } from '../src/commands/submit.ts';
import type { BoxEvent } from '../src/events/box-events.ts';
import { boxOptionsSchema } from '../src/events/box-options.ts';
import type { BoxView } from '../src/events/box-view.ts';
import { assert } from '../src/kernel/assert.ts';
import { noCrash } from '../src/kernel/crash-point.ts';
import {
  type BoxId,
  boxId,
  boxStream,
  commandId,
  defaultTenant,
  noVersion,
  type Version,
  version,
} from '../src/kernel/ids.ts';
import { timestampFromMs } from '../src/kernel/time.ts';
import { randomIds } from '../src/main/random-ids.ts';
import { systemClock } from '../src/main/system-clock.ts';
import type { Store } from '../src/store/store.ts';
import type { Operation } from './callers.ts';
import { provenanceOf } from './provenance.ts';

/** A stream's end, as its only writer knows it. */
interface End {
  readonly version: Version;
  readonly hash: string;
}

/**
 * One operation: one command through the door, from a caller that by turns creates a box and starts it: decided by the
 * statechart on the box as it stands, then committed with its event's hash, head, read-model row, the command's answer
 * and, for a start, the effect in the outbox. Each command has an id of the caller's, so that it could be repeated.
 */
export const prepareCommands = (store: Store): Operation => {
  const door = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    onEffects: () => undefined, // nobody carries them out
    crash: noCrash,
    keepStates: 10_000,
  });
  const created: (BoxId | undefined)[] = [];
  const placement = { hostId: randomIds.hostId(), epoch: 1 };
  return async (caller) => {
    const before = created[caller];
    const boxId = before ?? randomIds.boxId();
    const answer = await door.submit(
      before === undefined
        ? { type: 'box.create', boxId, name: boxId.replace('_', '-'), options: boxOptionsSchema.parse({}) }
        : { type: 'box.start', boxId, placement },
      { tenant: defaultTenant, actor: { kind: 'system', id: 'bench' }, commandId: randomIds.commandId() },
    );
    assert(answer.kind === 'accepted', `the only user of a box meets no ${answer.kind}`);
    created[caller] = before === undefined ? boxId : undefined;
    return {};
  };
};

/**
 * One operation: one event appended to the caller's own stream by the store alone, with all that a command commits: hash
 * chain, head, read-model row and the command's answer. Nothing is decided.
 */
export const prepareAppend = (store: EventStore): Operation => {
  const ends: End[] = [];
  return async (caller) => {
    const end = ends[caller] ?? { version: noVersion, hash: '' };
    const result = await store.append(requestFor(boxOf(caller), end));
    assert(result.kind === 'appended', `the only writer of a stream meets no ${result.kind}`);
    const [stream] = result.streams;
    assert(stream !== undefined, 'an append of one stream answers with one');
    ends[caller] = { version: stream.version, hash: stream.hash };
    return {};
  };
};

const boxOf = (caller: number): BoxId => boxId(`bx_${String(caller).padStart(16, '0')}`);

const requestFor = (id: BoxId, end: End): AppendRequest => {
  const command = commandId(randomUUID());
  const view = viewOf(id, end.version);
  const next = version(end.version + 1n);
  return {
    command: {
      id: command,
      digest: `${id}-${next}`,
      answer: { kind: 'accepted', streamId: boxStream(id), version: next },
    },
    provenance: provenanceOf(command),
    occurredAt: timestampFromMs(Date.now()),
    streams: [
      {
        streamId: boxStream(id),
        expectedVersion: end.version,
        previousHash: end.hash,
        events: [eventAfter(view, end.version)],
        snapshot: { state: view.state, health: view.health },
        fingerprint: 'bench',
        effects: [],
        cancels: [],
        row: rowOf(view),
      },
    ],
    settles: null,
  };
};

const rowOf = (view: BoxView): BoxRow => ({
  boxId: view.boxId,
  tenant: view.tenant,
  name: view.name,
  state: view.state,
  labels: view.options.labels,
  hostId: null,
  view,
});

const eventAfter = (view: BoxView, end: Version): BoxEvent =>
  end === noVersion
    ? { type: 'box.created', data: { name: view.name, options: view.options } }
    : { type: 'box.healthChanged', data: { health: view.health } };

const viewOf = (id: BoxId, end: Version): BoxView => ({
  boxId: id,
  tenant: defaultTenant,
  name: id,
  state: 'running',
  health: end % 2n === 0n ? 'healthy' : 'unhealthy',
  operation: null,
  bracket: null,
  options: boxOptionsSchema.parse({}),
  generation: 1,
  placement: null,
  process: null,
  effect: null,
  hasDisk: true,
  origin: null,
  snapshots: [],
  standsOn: null,
  pause: null,
  restarts: 0,
  exit: null,
  failure: null,
  createdAt,
  startedAt: createdAt,
  resumedAt: null,
  stoppedAt: null,
});

const createdAt = timestampFromMs(Date.now());
