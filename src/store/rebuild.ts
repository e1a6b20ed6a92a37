import type pg from 'pg';
import type { BoxRow } from '../commands/event-store.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import type { StreamId } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import { inTransaction, withConnection } from './database.ts';
import { parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

/** What a stream's events amount to, as its statechart says. */
export type Fold = (
  streamId: StreamId,
  events: readonly [RecordedEvent, ...RecordedEvent[]],
) => { readonly snapshot: JsonValue; readonly fingerprint: string; readonly row: BoxRow | null };

const readByStream = statement('read-by-stream');
const insertHead = statement('insert-head');
const insertBox = statement('insert-box');

/** Events fetched at once. */
const pageSize = 1_000;

/**
 * Drops every head and box row and makes them again from the log, in one transaction: readers see the old rows until the
 * new ones are complete, and appends wait. Holds no more in memory than a page of events and the longest stream.
 */
export const rebuild = (databaseUrl: string, fold: Fold): Promise<{ readonly streams: number }> =>
  withConnection(databaseUrl, (client) =>
    inTransaction(client, async () => {
      await client.query('LOCK TABLE boxledger.heads, boxledger.boxes IN SHARE ROW EXCLUSIVE MODE');
      await client.query('DELETE FROM boxledger.heads');
      await client.query('DELETE FROM boxledger.boxes');
      let streams = 0;
      for await (const events of streamsOf(client)) {
        await insert(client, events, fold);
        streams += 1;
      }
      return { streams };
    }),
  );

/** Every stream's events, one stream after the other. */
async function* streamsOf(client: pg.Client): AsyncGenerator<[RecordedEvent, ...RecordedEvent[]]> {
  let current: [RecordedEvent, ...RecordedEvent[]] | undefined;
  for (;;) {
    const last = current?.at(-1);
    const { rows } = await client.query({
      ...readByStream,
      values: [last?.streamId ?? '', last?.version ?? 0, pageSize],
    });
    for (const row of rows) {
      const { event } = parseEventRow(row);
      if (current === undefined) current = [event];
      else if (current[0].streamId === event.streamId) current.push(event);
      else {
        yield current;
        current = [event];
      }
    }
    if (rows.length < pageSize) break;
  }
  if (current !== undefined) yield current;
}

const insert = async (client: pg.Client, events: [RecordedEvent, ...RecordedEvent[]], fold: Fold) => {
  const [first] = events;
  const last = events.at(-1) ?? first;
  assert(last.version === BigInt(events.length), `${first.streamId} has every event up to its last`);
  const { snapshot, fingerprint, row } = fold(first.streamId, events);
  await client.query({
    ...insertHead,
    values: [first.streamId, first.tenant, last.version, last.hash, JSON.stringify(snapshot), fingerprint],
  });
  if (row === null) return;
  await client.query({
    ...insertBox,
    values: [
      row.boxId,
      row.tenant,
      row.name,
      row.state,
      JSON.stringify(row.labels),
      row.hostId,
      last.version,
      first.occurredAt,
      last.occurredAt,
      JSON.stringify(row.view),
    ],
  });
};
