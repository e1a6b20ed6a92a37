import { z } from 'zod';
import { archivedError } from '../audit/archive-record.ts';
import type { CommandAnswer } from '../commands/event-store.ts';
import type { BoxThen, EffectMemory, LastingFilter, LogHistory } from '../commands/log-history.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { CommandId, CorrelationId, EffectId, StreamId, TenantId } from '../kernel/ids.ts';
import { version } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';
import { afterToken, pageToken } from './box-page-token.ts';
import type { Database } from './database.ts';
import { parseEffectMemory } from './history-rows.ts';
import { type EventRow, parseBox, parseCommand, parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

const boxesAt = statement('boxes-at');
const readCorrelated = statement('read-correlated');
const lastOfType = statement('last-of-type');
const lastArchive = statement('last-archive');
const findCommand = statement('find-command');
const findEffects = statement('find-effects');

const laterRow = z.object({ first_later: z.string().nullable(), archive: z.string().nullable() });
const archiveRow = z.object({ file: z.string(), to_transaction_id: z.string() });

export class PostgresLogHistory implements LogHistory {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async boxesAt(
    tenant: TenantId,
    at: Timestamp,
    { name, namePrefix, labels = {} }: LastingFilter,
    page: { readonly size: number; readonly token: string },
  ): Promise<readonly BoxThen[]> {
    const after = afterToken(page.token);
    const rows = await this.#database.query(boxesAt, [
      tenant,
      at,
      after.createdAt,
      after.boxId,
      page.size,
      name ?? null,
      namePrefix ?? null,
      Object.keys(labels).length === 0 ? null : JSON.stringify(labels),
    ]);
    return rows.map((row) => {
      const record = parseBox(row);
      const { first_later: later, archive } = laterRow.parse(row);
      if (archive !== null) throw archivedError(`box ${record.boxId} as of ${at}`, archive);
      return {
        record,
        version: later === null ? record.version : version(BigInt(later) - 1n),
        pageToken: pageToken(record),
      };
    });
  }

  async correlated(
    tenant: TenantId,
    correlationId: CorrelationId,
    limit: number,
  ): Promise<readonly RecordedEvent[]> {
    const rows = await this.#database.query(readCorrelated, [tenant, correlationId, limit]);
    const events = rows.map(parseEventRow);
    await this.#refuseArchived(correlationId, events[0]);
    return events.map(({ event }) => event);
  }

  /** What began by itself, after all that has left the database, is here to its end. */
  async #refuseArchived(correlationId: CorrelationId, first: EventRow | undefined): Promise<void> {
    const [row] = await this.#database.query(lastArchive, []);
    if (row === undefined) return;
    const { file, to_transaction_id: end } = archiveRow.parse(row);
    const isWhole = first?.event.causationId === null && BigInt(first.transactionId) > BigInt(end);
    if (!isWhole) throw archivedError(`some of what request ${correlationId} led to`, file);
  }

  async lastOf<Type extends DomainEvent['type']>(streamId: StreamId, type: Type) {
    const [row] = await this.#database.query(lastOfType, [streamId, type]);
    if (row === undefined) return undefined;
    return parseEventRow(row).event as RecordedEvent<Extract<DomainEvent, { type: Type }>>; // its type was asked for
  }

  async answerTo(tenant: TenantId, commandId: CommandId): Promise<CommandAnswer | undefined> {
    const [row] = await this.#database.query(findCommand, [tenant, commandId]);
    return row === undefined ? undefined : parseCommand(row).answer;
  }

  async effects(effectIds: readonly EffectId[]): Promise<readonly EffectMemory[]> {
    if (effectIds.length === 0) return [];
    return (await this.#database.query(findEffects, [effectIds])).map(parseEffectMemory);
  }
}
