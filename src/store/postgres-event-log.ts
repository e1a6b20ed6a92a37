import { z } from 'zod';
import type { Cursor, EventLog, LogFilter, LogPage } from '../commands/event-store.ts';
import type { LagMeter, LogLag } from '../commands/log-lag.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { StreamId, Version } from '../kernel/ids.ts';
import type { AppendWake, Wake } from './append-wake.ts';
import { cursorAtHorizon, cursorOf, placeOf } from './cursor.ts';
import type { Database } from './database.ts';
import { parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

const readStream = statement('read-stream');
const readAll = statement('read-all');
const readEnd = statement('read-end');
const logLag = statement('log-lag');

const pageRow = z.object({ position: z.string().nullable(), horizon: z.string(), held_back: z.boolean() });
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
    const after = placeOf(cursor);
    const rows = await this.#database.query(readAll, [
      after.transactionId,
      after.position,
      limit,
      filter.tenant ?? null,
      filter.streamId ?? null,
      anyIfEmpty(filter.categories),
      anyIfEmpty(filter.types),
    ]);
    const { position: first, horizon, held_back } = pageRow.parse(rows[0]);
    this.#wake.heldBack(held_back);
    if (first === null)
      return { events: [], cursor: isFilter(filter) ? cursorAtHorizon(horizon, cursor) : cursor };
    const events = rows.map((row) => {
      const { transactionId, event } = parseEventRow(row);
      return { ...event, cursor: cursorOf({ transactionId, position: event.position.toString() }) };
    });
    return { events, cursor: events.at(-1)?.cursor ?? cursor };
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
