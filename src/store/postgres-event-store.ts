import type { AppendRequest, AppendResult, EventStore, Head } from '../commands/event-store.ts';
import { assert } from '../kernel/assert.ts';
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

export class PostgresEventStore implements EventStore {
  readonly #database: Database;
  readonly #wake: AppendWake;
  readonly #batcher: AppendBatcher<PreparedAppend, AppendReply>;

  constructor(database: Database, wake: AppendWake) {
    this.#database = database;
    this.#wake = wake;
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
    const [row] = await this.#database.query(append, [`[${batch.map(({ json }) => json).join()}]`]);
    const replies = parseAppendReplies(row);
    assert(replies.length === batch.length, 'every append is replied to');
    const ends = batch.flatMap((prepared, index) =>
      replies[index]?.kind === 'appended' ? endsOf(prepared) : [],
    );
    if (ends.length > 0) this.#wake.appended(ends);
    return replies;
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
