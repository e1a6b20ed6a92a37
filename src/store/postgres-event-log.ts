import { z } from 'zod';
import type { Cursor, EventLog, LogFilter, LogPage } from '../commands/event-store.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import type { StreamId, Version } from '../kernel/ids.ts';
import type { AppendWake, Wake } from './append-wake.ts';
import type { Database } from './database.ts';
import { parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

const readStream = statement('read-stream');
const readAll = statement('read-all');
const readEnd = statement('read-end');

/** A place in the order of `read-all.sql`; both are 64-bit numbers as text. */
interface Place {
  readonly transactionId: string;
  readonly position: string;
}

const beginning: Place = { transactionId: '0', position: '0' };
const cursorPattern = /^(\d{1,19})\.(\d{1,18})$/;
const pageRow = z.object({ position: z.string().nullable(), held_back: z.boolean() });
const endRow = z.object({ transaction_id: z.string(), position: z.string() });

const cursorOf = ({ transactionId, position }: Place): Cursor => `${transactionId}.${position}`;

const placeOf = (cursor: Cursor): Place => {
  if (cursor === '') return beginning;
  const [, transactionId, position] = cursorPattern.exec(cursor) ?? [];
  if (transactionId === undefined || position === undefined)
    throw BoxledgerError.fromRefusal(
      invalidArgument([{ field: 'cursor', problem: 'is not a cursor of this log' }]),
    );
  return { transactionId, position };
};

/** A filter by nothing lets everything through. */
const anyIfEmpty = (values: readonly string[] = []) => (values.length === 0 ? null : values);

export class PostgresEventLog implements EventLog {
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
    const { position: first, held_back } = pageRow.parse(rows[0]);
    this.#wake.heldBack(held_back);
    if (first === null) return { events: [], cursor };
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

  onAppend(wake: Wake): () => void {
    return this.#wake.subscribe(wake);
  }
}
