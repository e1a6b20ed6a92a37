import { z } from 'zod';
import type { Cursor, EventLog, LogFilter, LogPage } from '../commands/event-store.ts';
import type { LagMeter, LogLag } from '../commands/log-lag.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { StreamId, Version } from '../kernel/ids.ts';
import type { AppendWake, Wake } from './append-wake.ts';
import { cursorAtHorizon, cursorOf, isAfter, placeOf } from './cursor.ts';
import type { Database } from './database.ts';
import { parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

const readStream = statement('read-stream');
const readAll = statement('read-all');
const readAllOfStream = statement('read-all-of-stream');
const readEnd = statement('read-end');
const logLag = statement('log-lag');

const pageRow = z.object({
  position: z.string().nullable(),
  horizon: z.string(),
  held_back: z.boolean(),
  looked_transaction_id: z.string().nullable(),
  looked_position: z.string().nullable(),
});
const endRow = z.object({ transaction_id: z.string(), position: z.string() });

const lagRow = z
  .object({
    lag_ms: z.number(),
    pid: z.int().nullable(),
    application: z.string().nullable(),
    database: z.string().nullable(),
    user: z.string().nullable(),
    transaction_age_ms: z.number().nullable(),
    query_age_ms: z.number().nullable(),
  })
  .transform(
    ({ lag_ms, pid, application, database, user, ...row }): LogLag => ({
      lagMs: lag_ms,
      blocker:
        application === null
          ? null
          : {
              pid,
              application,
              database: database ?? '',
              user: user ?? '',
              transactionAgeMs: row.transaction_age_ms,
              queryAgeMs: row.query_age_ms,
            },
    }),
  );

/** A filter by nothing lets everything through. */
const anyIfEmpty = (values: readonly string[] = []) => (values.length === 0 ? null : values);

/** So many events one statement looks at for those that fit, so that it ends long before its time is over. */
const lookMax = 10_000;

const isFilter = (filter: LogFilter) => Object.values(filter).some((value) => value !== undefined);

export class PostgresEventLog implements EventLog, LagMeter {
  readonly #database: Database;
  readonly #wake: AppendWake;

  constructor(database: Database, wake: AppendWake) {
    this.#database = database;
    this.#wake = wake;
  }

  async readStream(streamId: StreamId, after: Version, limit: number): Promise<readonly RecordedEvent[]> {
    const rows = await this.#database.query(readStream, [streamId, after, limit]);
    return rows.map((row) => parseEventRow(row).event);
  }

  async readAll(cursor: Cursor, limit: number, filter: LogFilter = {}): Promise<LogPage> {
    const rows = await this.#readPage(cursor, limit, filter);
    const first = pageRow.parse(rows[0]);
    this.#wake.heldBack(first.held_back);
    const events = first.position === null ? [] : rows.map(eventWithCursor);
    const last = events.at(-1)?.cursor ?? cursor;
    if (events.length >= limit) return { events, cursor: last, atEnd: false };
    const { looked_transaction_id: transactionId, looked_position: position } = first;
    if (transactionId !== null && position !== null)
      return { events, cursor: cursorOf({ transactionId, position }), atEnd: false };
    return { events, cursor: isFilter(filter) ? cursorAtHorizon(first.horizon, last) : last, atEnd: true };
  }

  #readPage(cursor: Cursor, limit: number, { streamId, ...filter }: LogFilter): Promise<readonly unknown[]> {
    const { transactionId, position } = placeOf(cursor);
    const fits = [filter.tenant ?? null, anyIfEmpty(filter.categories), anyIfEmpty(filter.types)];
    if (streamId !== undefined)
      return this.#database.query(readAllOfStream, [transactionId, position, limit, streamId, ...fits]);
    // Without a filter everything fits, and there is nothing to look at beyond the page.
    const look = isFilter(filter) ? Math.max(limit, lookMax) : limit;
    return this.#database.query(readAll, [transactionId, position, limit, look, ...fits]);
  }

  isAfter(cursor: Cursor, other: Cursor): boolean {
    return isAfter(placeOf(cursor), placeOf(other));
  }

  async end(): Promise<Cursor> {
    const [row] = await this.#database.query(readEnd, []);
    if (row === undefined) return '';
    const last = endRow.parse(row);
    return cursorOf({ transactionId: last.transaction_id, position: last.position });
  }

  async lag(): Promise<LogLag> {
    const [row] = await this.#database.query(logLag, []);
    return lagRow.parse(row);
  }

  onAppend(wake: Wake): () => void {
    return this.#wake.subscribe(wake);
  }
}

const eventWithCursor = (row: unknown): LogPage['events'][number] => {
  const { transactionId, event } = parseEventRow(row);
  return { ...event, cursor: cursorOf({ transactionId, position: event.position.toString() }) };
};
