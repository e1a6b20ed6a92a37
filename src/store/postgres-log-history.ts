import { z } from 'zod';
import type { CommandAnswer } from '../commands/event-store.ts';
import type { BoxThen, EffectMemory, LastingFilter, LogHistory } from '../commands/log-history.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { CommandId, CorrelationId, EffectId, StreamId, TenantId } from '../kernel/ids.ts';
import { version } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';
import { afterToken, pageToken } from './box-page-token.ts';
import type { Database } from './database.ts';
import { parseEffectMemory } from './history-rows.ts';
import { parseBox, parseCommand, parseEventRow } from './row-parsers.ts';
import { statement } from './statement.ts';

const boxesAt = statement('boxes-at');
const readCorrelated = statement('read-correlated');
const lastOfType = statement('last-of-type');
const findCommand = statement('find-command');
const findEffects = statement('find-effects');

const laterRow = z.object({ first_later: z.string().nullable() });

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
      const later = laterRow.parse(row).first_later;
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
    return rows.map((row) => parseEventRow(row).event);
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
