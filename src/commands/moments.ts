import type { BoxView } from '../events/box-view.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import { type BoxId, boxStream, type TenantId, type Version } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import type { Timestamp } from '../kernel/time.ts';
import { aggregateForStream } from './aggregates.ts';
import type { EventLog } from './event-store.ts';
import type { LastingFilter, LogHistory } from './log-history.ts';
import { emptyStream, foldOn, streamEvents, viewOf } from './stream-events.ts';

/**
 * A moment of a stream. As of a time T, a stream is at the version before its first event dated after T: the last version
 * up to which no event is later. Positions and versions never step back, clocks may; so what is dated before T but comes
 * after an event that is not, is left out, and no moment shows a box that never was.
 */
export type Moment =
  | { readonly kind: 'version'; readonly version: Version }
  | { readonly kind: 'time'; readonly at: Timestamp };

/** A box as it was. */
export interface BoxAt {
  readonly view: BoxView;
  readonly version: Version;
  /** The event that made it so. */
  readonly event: RecordedEvent;
  /** What its statechart keeps. */
  readonly statechart: JsonValue;
}

export interface FleetFilter extends LastingFilter {
  /** Any of these at that time. */
  readonly states?: readonly string[] | undefined;
  /** Boxes that were removed by then are left out unless asked for. */
  readonly includeRemoved?: boolean | undefined;
}

export interface FleetPage {
  readonly boxes: readonly Pick<BoxAt, 'view' | 'version'>[];
  readonly nextPageToken: string;
}

/** Boxes looked at for one page, that a filter may all refuse. */
const lookedAtMax = 2_000;
const candidatesAtOnce = 100;

/** What was: folds of streams up to a moment. Memory does not grow with the length of a stream or the size of the fleet. */
export class Moments {
  readonly #log: EventLog;
  readonly #history: LogHistory;

  constructor(log: EventLog, history: LogHistory) {
    this.#log = log;
    this.#history = history;
  }

  /** Undefined when the box did not exist yet at that time, or has no such version. */
  async boxAt(boxId: BoxId, moment: Moment, signal?: AbortSignal): Promise<BoxAt | undefined> {
    const upTo = moment.kind === 'version' ? moment.version : undefined;
    let stream = emptyStream(boxStream(boxId));
    let last: RecordedEvent | undefined;
    for await (const event of streamEvents(this.#log, stream.streamId, { upTo, signal })) {
      if (moment.kind === 'time' && event.occurredAt > moment.at) break;
      stream = foldOn(stream, event);
      last = event;
    }
    if (last === undefined || (upTo !== undefined && stream.version < upTo)) return undefined;
    const view = viewOf(stream);
    assert(view !== null, `${stream.streamId} is a box`);
    const statechart = aggregateForStream(stream.streamId).persist(stream.state);
    return { view, version: stream.version, event: last, statechart };
  }

  /** The boxes of a tenant as of a time, oldest first. A page may have fewer than `size`, even none, before the end. */
  async fleetAt(
    tenant: TenantId,
    at: Timestamp,
    filter: FleetFilter,
    page: { readonly size: number; readonly token: string },
    signal?: AbortSignal,
  ): Promise<FleetPage> {
    const boxes: Pick<BoxAt, 'view' | 'version'>[] = [];
    let { token } = page;
    for (let lookedAt = 0; lookedAt < lookedAtMax; ) {
      const size = candidatesAtOnce;
      const candidates = await this.#history.boxesAt(tenant, at, filter, { size, token });
      for (const { record, version, pageToken } of candidates) {
        signal?.throwIfAborted();
        const view = version === record.version ? record.view : await this.#viewAt(record.boxId, version);
        if (!isWanted(view, filter)) continue;
        if (boxes.length === page.size) return { boxes, nextPageToken: token };
        boxes.push({ view, version });
        token = pageToken;
      }
      if (candidates.length < size) return { boxes, nextPageToken: '' };
      token = candidates.at(-1)?.pageToken ?? token;
      lookedAt += candidates.length;
    }
    return { boxes, nextPageToken: token };
  }

  async #viewAt(boxId: BoxId, version: Version): Promise<BoxView> {
    const then = await this.boxAt(boxId, { kind: 'version', version });
    assert(then !== undefined, `${boxId} has had version ${version}`);
    return then.view;
  }
}

const isWanted = ({ state }: BoxView, { states, includeRemoved }: FleetFilter): boolean =>
  states === undefined || states.length === 0
    ? includeRemoved === true || state !== 'removed'
    : states.includes(state);
