import type { AppendRequest, AppendResult, EventStore, Head } from '../commands/event-store.ts';
import { assert } from '../kernel/assert.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { CommandId, StreamId, TenantId } from '../kernel/ids.ts';
import { AppendBatcher } from './append-batcher.ts';
import { appendResult, endsOf, type PreparedAppend, prepareAppend } from './append-request.ts';
import type { AppendWake } from './append-wake.ts';
import type { Database } from './database.ts';
import { type AppendReply, parseAppendReplies, parseCommand, parseHead } from './row-parsers.ts';
import { statement } from './statement.ts';

const loadHead = statement('load-head');
const append = statement('append');
const findCommand = statement('find-command');
/** How Postgres says that no partition is for a row. */
const checkViolation = '23514';

/** What an append has to do with besides the database. */
interface AppendCompany {
  readonly wake: AppendWake;
  /** Adds the partition that is missing when an append finds none. */
  readonly keepLog: () => Promise<void>;
  /** Told of each statement that appended: how many commands it wrote, and how long it took. */
  readonly onWritten?: ((commands: number, durationMs: number) => void) | undefined;
}

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
      ({ lockKey }) => lockKey,
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
    const [row] = await this.#append(`[${batch.map(({ json }) => json).join()}]`);
    this.#onWritten(batch.length, performance.now() - beganAtMs);
    const replies = parseAppendReplies(row);
    assert(replies.length === batch.length, 'every append is replied to');
    const ends = batch.flatMap((prepared, index) =>
      replies[index]?.kind === 'appended' ? endsOf(prepared) : [],
    );
    if (ends.length > 0) this.#wake.appended(ends);
    return replies;
  }

  /** What the server refused for want of a partition it undid: the same is asked again, once. */
  async #append(requests: string): Promise<readonly unknown[]> {
    try {
      return await this.#database.query(append, [requests]);
    } catch (error) {
      const lacksPartition =
        error instanceof BoxledgerError && error.details['databaseCode'] === checkViolation;
      if (!lacksPartition) throw error;
      await this.#keepLog();
      return this.#database.query(append, [requests]);
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
