import { aggregateForStream } from '../../src/commands/aggregates.ts';
import { boxRow } from '../../src/commands/stream-append.ts';
import { fingerprintOf } from '../../src/commands/stream-states.ts';
import type { BoxEvent } from '../../src/events/box-events.ts';
import type { EffectIntent } from '../../src/events/effects.ts';
import { type BoxId, boxStream, noVersion, version } from '../../src/kernel/ids.ts';
import { type Timestamp, timestampFromMs } from '../../src/kernel/time.ts';
import { boxAggregate } from '../../src/machines/box/box-aggregate.ts';
import { type BoxState, takeBoxEvent } from '../../src/machines/box/box-state.ts';
import { recordedFor } from '../machines/recorded.ts';
import { appendRequest, someBoxId } from './append-request.ts';
import type { TestStore } from './store.ts';

/** Writes a box's history as it is, past the door: each event in an append of its own, a second after the one before. */
export const recordBox = async (
  store: TestStore,
  events: readonly BoxEvent[],
  { boxId = someBoxId(), from = Date.UTC(2026, 10, 25, 12) }: { boxId?: BoxId; from?: number } = {},
): Promise<BoxId> => {
  const streamId = boxStream(boxId);
  const aggregate = aggregateForStream(streamId);
  let state: BoxState | undefined;
  let hash = '';
  let open: EffectIntent | undefined;
  for (const [index, given] of events.entries()) {
    const event =
      given.type === 'box.created' ? { ...given, data: { ...given.data, name: nameOf(boxId) } } : given;
    const occurredAt = timestampFromMs(from + index * 1000);
    const step = takeBoxEvent(state, recordedFor(streamId, event, index + 1, occurredAt));
    if (step === undefined) throw new Error(`a box cannot take ${event.type} now`);
    state = step.state;
    const append = {
      streamId,
      expectedVersion: index === 0 ? noVersion : version(index),
      previousHash: hash,
      events: [event] as const,
      snapshot: boxAggregate.persist(state),
      fingerprint: fingerprintOf(aggregate),
      effects: step.effects,
      cancels: open === undefined ? [] : [open.effectId],
      row: boxRow(boxAggregate.view(state)),
    };
    open = step.effects[0];
    const result = await store.events.append(appendRequest([append], { occurredAt }));
    if (result.kind !== 'appended') throw new Error(result.kind);
    hash = result.streams[0]?.hash ?? '';
  }
  return boxId;
};

const nameOf = (boxId: BoxId): string => `named-${boxId.slice(3)}`;

/** A clock that shows what the test says. */
export class SetClock {
  at: Timestamp;
  constructor(at: Timestamp) {
    this.at = at;
  }
  now = (): Timestamp => this.at;
  monotonicMs = (): number => 0;
}
