import type pg from 'pg';
import { z } from 'zod';
import type { BoxRow } from '../commands/event-store.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { Projection } from '../events/projections.ts';
import { streamIdSchema } from '../events/schemas.ts';
import { assert } from '../kernel/assert.ts';
import { noVersion, type StreamId, version } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import { advisoryLocks } from './advisory-locks.ts';
import { inTransaction, withConnection } from './database.ts';
import { parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

/** What is kept of a stream besides its events. */
export interface Folded {
  readonly snapshot: JsonValue;
  readonly fingerprint: string;
  readonly row: BoxRow | null;
}

/** What streams amount to, as their statecharts say: an event at a time, so that no stream has to fit in memory. */
export interface Folding {
  evolve(state: unknown, event: RecordedEvent): unknown;
  result(streamId: StreamId, state: unknown): Folded;
}

export interface RebuildOptions {
  readonly only?: Projection | undefined;
  /** Told now and then how many streams have been folded; waited for. */
  readonly onProgress?: ((streams: number) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface FoldedStream extends Folded {
  readonly first: RecordedEvent;
  readonly last: RecordedEvent;
}

const readByStream = statement('read-by-stream');
const readStream = statement('read-stream');
const readMoved = statement('read-moved-streams');
const insertHead = statement('insert-rebuilt-head');
const insertBox = statement('insert-rebuilt-box');
const deleteHeads = statement('delete-rebuilt-heads');
const deleteExecs = statement('delete-rebuilt-execs');
const deleteCopies = statement('delete-rebuilt-copies');
const deleteBoxes = statement('delete-rebuilt-boxes');
const putHeads = statement('put-rebuilt-heads');
const putBoxes = statement('put-rebuilt-boxes');

/** Events fetched at once. */
const pageSize = 1_000;
const progressEvery = 100;
const horizonRow = z.object({ xmin: z.string() });
const streamRow = z.object({ stream_id: streamIdSchema });

/**
 * Makes every head and box row again from the log, while the service runs; those of streams that have left the database for
 * an archive stay as they are. They are folded into tables of this connection
 * first, without a lock and without a transaction: one that writes would hold all readers of the log back until it ended.
 * Then appends wait for as long as it takes to fold again what moved meanwhile, and to put the new rows in the place of
 * the old; readers see the old ones until the new are complete. Holds no more in memory than a page of events and one state.
 */
export const rebuild = async (
  databaseUrl: string,
  folding: Folding,
  options: RebuildOptions = {},
): Promise<{ readonly streams: number }> => {
  try {
    return await withConnection(databaseUrl, (client) => rebuildOn(client, folding, options));
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  }
};

const rebuildOn = async (client: pg.Client, folding: Folding, options: RebuildOptions) => {
  // A stream that left the database meanwhile would be missed half-way.
  await client.query('SELECT pg_advisory_lock_shared($1)', [advisoryLocks.archiving]);
  // Whatever this first look cannot see yet is of this transaction or a later one.
  const { xmin } = horizonRow.parse((await client.query('SELECT boxledger.horizon()::text AS xmin')).rows[0]);
  await client.query('CREATE TEMP TABLE rebuilt_heads (LIKE boxledger.heads, PRIMARY KEY (stream_id))');
  await client.query(
    'CREATE TEMP TABLE rebuilt_boxes (LIKE boxledger.boxes INCLUDING GENERATED, PRIMARY KEY (box_id))',
  );
  let streams = 0;
  for await (const stream of foldedStreams(client, folding)) {
    options.signal?.throwIfAborted();
    await keep(client, stream);
    streams += 1;
    if (streams % progressEvery === 0) await options.onProgress?.(streams);
  }
  await options.onProgress?.(streams);
  await inTransaction(client, async () => {
    await client.query('LOCK TABLE boxledger.heads, boxledger.boxes IN SHARE ROW EXCLUSIVE MODE');
    for await (const streamId of movedSince(client, xmin)) {
      const stream = await foldStream(client, folding, streamId);
      if (!(await keep(client, stream))) streams += 1;
    }
    await putInPlace(client, options.only);
  });
  return { streams };
};

/** Every stream, one after the other. */
async function* foldedStreams(client: pg.Client, folding: Folding): AsyncGenerator<FoldedStream> {
  let open: OpenFold | undefined;
  let after: Pick<RecordedEvent, 'streamId' | 'version'> | undefined;
  for (;;) {
    const values = [after?.streamId ?? '', after?.version ?? noVersion, pageSize];
    const { rows } = await client.query({ ...readByStream, values });
    for (const row of rows) {
      const { event } = parseEventRow(row);
      if (open !== undefined && open.last.streamId !== event.streamId) {
        yield closed(open, folding);
        open = undefined;
      }
      open = foldedOn(open, event, folding);
    }
    after = open?.last;
    if (rows.length < pageSize) break;
  }
  if (open !== undefined) yield closed(open, folding);
}

const foldStream = async (client: pg.Client, folding: Folding, streamId: StreamId): Promise<FoldedStream> => {
  let open: OpenFold | undefined;
  for (;;) {
    const values = [streamId, open?.last.version ?? noVersion, pageSize];
    const { rows } = await client.query({ ...readStream, values });
    for (const row of rows) open = foldedOn(open, parseEventRow(row).event, folding);
    if (rows.length < pageSize) break;
  }
  assert(open !== undefined, `${streamId} has events`);
  return closed(open, folding);
};

interface OpenFold {
  readonly first: RecordedEvent;
  readonly last: RecordedEvent;
  readonly state: unknown;
}

const foldedOn = (open: OpenFold | undefined, event: RecordedEvent, folding: Folding): OpenFold => {
  const expected = version((open?.last.version ?? 0n) + 1n);
  assert(event.version === expected, `${event.streamId} has every event up to its last`);
  return { first: open?.first ?? event, last: event, state: folding.evolve(open?.state, event) };
};

const closed = ({ first, last, state }: OpenFold, folding: Folding): FoldedStream => ({
  ...folding.result(first.streamId, state),
  first,
  last,
});

/** Streams with events of a transaction that the first look may not have seen. */
async function* movedSince(client: pg.Client, xmin: string): AsyncGenerator<StreamId> {
  const { rows } = await client.query({ ...readMoved, values: [xmin] });
  for (const row of rows) yield streamRow.parse(row).stream_id;
}

/** Keeps a stream's rows in the tables that are to replace the old; true when it was kept before. */
const keep = async (
  client: pg.Client,
  { snapshot, fingerprint, row, first, last }: FoldedStream,
): Promise<boolean> => {
  const { rows } = await client.query({
    ...insertHead,
    values: [first.streamId, first.tenant, last.version, last.hash, JSON.stringify(snapshot), fingerprint],
  });
  if (row !== null)
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
  return rows[0]?.kept_before === true;
};

/** The triggers on heads fill the tables of execs and copies again. */
const putInPlace = async (client: pg.Client, only: Projection | undefined): Promise<void> => {
  if (only !== 'boxes') {
    await client.query(deleteExecs.text);
    await client.query(deleteCopies.text);
    await client.query(deleteHeads.text);
    await client.query(putHeads);
  }
  if (only !== 'heads') {
    await client.query(deleteBoxes.text);
    await client.query(putBoxes);
  }
};
