import type { AppendRequest, AppendResult, EventStore, Head } from '../commands/event-store.ts';
import { assert } from '../kernel/assert.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { CommandId, StreamId, TenantId } from '../kernel/ids.ts';
import { AppendBatcher } from './append-batcher.ts';
import { appendResult, endsOf, type PreparedAppend, prepareAppend, requestJson } from './append-request.ts';
import { isPackable, packAppends } from './append-rows.ts';
import type { AppendWake } from './append-wake.ts';
import type { Database } from './database.ts';
import {
  type AppendReply,
  parseAppendReplies,
  parseCommand,
  parseHead,
  parsePositions,
} from './row-parsers.ts';
import { type Statement, statement } from './statement.ts';

const loadHead = statement('load-head');
const appendTogether = statement('append-together');
const appendEach = statement('append-each');
const findCommand = statement('find-command');
/** How Postgres says that no partition is for a row. */
const checkViolation = '23514';

/** What an append has to do with besides the database. */
interface AppendCompany {
  readonly wake: AppendWake;
  /** Adds the partition that is missing when an append finds none. */
  readonly keepLog: () => Promise<void>;
  /** Told of each batch that was written: how many commands it held, and how long it took. */
  readonly onWritten?: ((commands: number, durationMs: number) => void) | undefined;
}

/** Statements under way at once: while the database carries one out, the next is prepared. */
const writersMax = 2;

/** What a batch fails with that is not wholly as its senders expect: `boxledger.append_together`, and a key that is there already. */
const notAsExpected: readonly unknown[] = ['BX002', '23505'];

/**
 * Appends are nearly always as their senders expect, so a batch is first written as a whole; only when something is in the
 * way is each request of it written by itself, by a second statement, to find out which and what.
 */
export class PostgresEventStore implements EventStore {
  readonly #database: Database;
  readonly #wake: AppendWake;
  readonly #keepLog: () => Promise<void>;
  readonly #onWritten: NonNullable<AppendCompany['onWritten']>;
  readonly #batcher: AppendBatcher<PreparedAppend, AppendReply>;

  constructor(database: Database, { wake, keepLog, onWritten = () => undefined }: AppendCompany) {
    this.#database = database;
    this.#wake = wake;
    this.#keepLog = keepLog;
    this.#onWritten = onWritten;
    this.#batcher = new AppendBatcher(
      (batch) => this.#write(batch),
      ({ streamIds }) => streamIds,
      writersMax,
    );
  }

  async load(streamId: StreamId): Promise<Head | undefined> {
    const [row] = await this.#database.query(loadHead, [streamId]);
    return row === undefined ? undefined : parseHead(row);
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    const prepared = prepareAppend(request);
    return appendResult(prepared, await this.#batcher.submit(prepared));
  }

  async #write(batch: readonly PreparedAppend[]): Promise<readonly AppendReply[]> {
    const beganAtMs = performance.now();
    const replies = (await this.#writeTogether(batch)) ?? (await this.#writeEach(batch));
    this.#onWritten(batch.length, performance.now() - beganAtMs);
    assert(replies.length === batch.length, 'every append is replied to');
    const ends = batch.flatMap((prepared, index) =>
      replies[index]?.kind === 'appended' ? endsOf(prepared) : [],
    );
    if (ends.length > 0) this.#wake.appended(ends);
    return replies;
  }

  /** Undefined when nothing was written, because something in the batch is not as its sender expects. */
  async #writeTogether(batch: readonly PreparedAppend[]): Promise<readonly AppendReply[] | undefined> {
    if (!batch.every(isPackable)) return undefined;
    try {
      const [row] = await this.#append(appendTogether, packAppends(batch));
      const positions = parsePositions(row).values();
      return batch.map(({ streams }) => ({
        kind: 'appended',
        positions: streams.map(({ events }) => events.map(() => positions.next().value ?? 0)),
      }));
    } catch (error) {
      if (error instanceof BoxledgerError && notAsExpected.includes(error.details['databaseCode']))
        return undefined;
      throw error;
    }
  }

  async #writeEach(batch: readonly PreparedAppend[]): Promise<readonly AppendReply[]> {
    const [row] = await this.#append(appendEach, [`[${batch.map(requestJson).join()}]`]);
    return parseAppendReplies(row);
  }

  /** What the server refused for want of a partition it undid: the same is asked again, once. */
  async #append(append: Statement, values: readonly string[]): Promise<readonly unknown[]> {
    try {
      return await this.#database.query(append, values);
    } catch (error) {
      const lacksPartition =
        error instanceof BoxledgerError && error.details['databaseCode'] === checkViolation;
      if (!lacksPartition) throw error;
      await this.#keepLog();
      return this.#database.query(append, values);
    }
  }

  async answerOf(tenant: TenantId, id: CommandId, digest: string): ReturnType<EventStore['answerOf']> {
    const [row] = await this.#database.query(findCommand, [tenant, id]);
    if (row === undefined) return undefined;
    const command = parseCommand(row);
    return command.digest === digest
      ? { kind: 'answered-before', answer: command.answer }
      : { kind: 'command-reused' };
  }
}
