import { randomUUID } from 'node:crypto';
import type { BoxEvent } from '../src/events/box-events.ts';
import { boxOptionsSchema } from '../src/events/box-options.ts';
import { assert } from '../src/kernel/assert.ts';
import {
  type BoxId,
  boxId,
  boxStream,
  commandId,
  hostId,
  noVersion,
  type StreamId,
  version,
} from '../src/kernel/ids.ts';
import { timestampFromMs } from '../src/kernel/time.ts';
import type { Store } from '../src/store/store.ts';
import { provenanceOf } from './provenance.ts';

const eventsAtOnce = 500;

/**
 * Appends a box that has so many events, past the door: it was created, and then started, found healthy, paused, resumed and
 * stopped again and again. The heads are left to `rebuild`, which folds what is appended.
 */
export const appendLongBox = async (store: Store, length: number): Promise<StreamId> => {
  const id = boxId(`bx_${String(length).padStart(16, '0')}`);
  const streamId = boxStream(id);
  let end = { version: noVersion, hash: '' };
  for (let written = 0; written < length; written += eventsAtOnce) {
    const command = commandId(randomUUID());
    const [first, ...rest] = eventsOf(id, written, Math.min(length, written + eventsAtOnce));
    assert(first !== undefined, 'nothing is not appended');
    const stream = {
      streamId,
      expectedVersion: end.version,
      previousHash: end.hash,
      events: [first, ...rest] as const,
    };
    const result = await store.events.append({
      command: {
        id: command,
        digest: 'bench',
        answer: { kind: 'accepted', streamId, version: version(end.version + BigInt(1 + rest.length)) },
      },
      provenance: provenanceOf(command),
      occurredAt: timestampFromMs(Date.now()),
      streams: [{ ...stream, snapshot: {}, fingerprint: 'bench', effects: [], cancels: [], row: null }],
      settles: null,
    });
    assert(result.kind === 'appended', `the only writer of a stream meets no ${result.kind}`);
    const [appended] = result.streams;
    assert(appended !== undefined, 'an append of one stream answers with one');
    end = appended;
  }
  return streamId;
};

/** The events of a box from one index up to another. */
const eventsOf = (id: BoxId, from: number, to: number): readonly BoxEvent[] =>
  Array.from({ length: to - from }, (_, offset): BoxEvent => {
    const index = from + offset;
    if (index === 0)
      return {
        type: 'box.created',
        data: { name: id.replace('_', '-'), options: boxOptionsSchema.parse({}) },
      };
    const life = Math.floor((index - 1) / lifeOf(1).length);
    const event = lifeOf(life + 1)[(index - 1) % lifeOf(1).length];
    assert(event !== undefined, 'the rest of a division is within it');
    return event;
  });

const placement = { hostId: hostId('hs_0000000000000000'), epoch: 1 };
const process = { pid: 4_711, startTime: '815', bootId: 'bench' };

const lifeOf = (generation: number): readonly BoxEvent[] => [
  { type: 'box.startRequested', data: { placement, generation, timeoutMs: 90_000 } },
  { type: 'box.started', data: { process, stagesMs: { disk: 3, spawn: 20, guest: 180 }, tookOver: false } },
  { type: 'box.healthChanged', data: { health: 'healthy' } },
  { type: 'box.pauseRequested', data: { timeoutMs: 30_000 } },
  { type: 'box.paused', data: { consistency: 'file-system' } },
  { type: 'box.resumeRequested', data: { timeoutMs: 30_000 } },
  { type: 'box.resumed', data: {} },
  { type: 'box.stopRequested', data: { timeoutMs: 10_000, thenRemove: false } },
  { type: 'box.stopped', data: { exit: { kind: 'code', code: 0 }, manner: 'graceful', failures: [] } },
];
