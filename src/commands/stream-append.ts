import type { BoxView } from '../events/box-view.ts';
import type { DomainEvent } from '../events/envelope.ts';
import type { Decision } from '../machines/decision.ts';
import type { AnyAggregate } from './aggregates.ts';
import type { BoxRow, StreamAppend } from './event-store.ts';
import { emptyStream } from './stream-events.ts';
import type { StreamState } from './stream-state.ts';
import { fingerprintOf } from './stream-states.ts';

type Accepted = Extract<Decision<unknown, DomainEvent>, { kind: 'accepted' }>;

/** What an accepted decision commits of its own stream. */
export const streamAppend = (
  aggregate: AnyAggregate,
  stream: StreamState,
  accepted: Pick<Accepted, 'events' | 'state' | 'effects' | 'cancels'>,
): StreamAppend => ({
  streamId: stream.streamId,
  expectedVersion: stream.version,
  previousHash: stream.hash,
  events: accepted.events,
  snapshot: aggregate.persist(accepted.state),
  fingerprint: fingerprintOf(aggregate),
  effects: accepted.effects,
  cancels: accepted.cancels,
  row: boxRow(aggregate.view(accepted.state)),
});

/** What it commits of a new one. */
export const beginning = (aggregate: AnyAggregate, { streamId, events, state }: Accepted['begins'][number]) =>
  streamAppend(aggregate, emptyStream(streamId), { events, state, effects: [], cancels: [] });

/** The row of the `boxes` read model that a view stands in; null for streams that have none. */
export const boxRow = (view: BoxView | null): BoxRow | null =>
  view === null
    ? null
    : {
        boxId: view.boxId,
        tenant: view.tenant,
        name: view.name,
        state: view.state,
        labels: view.options.labels,
        hostId: view.placement?.hostId ?? null,
        view,
      };
