import { z } from 'zod';
import type { BoxDirectory, BoxFilter, BoxLookup, BoxRecord } from '../commands/event-store.ts';
import { boxIdPattern, idAlphabet, idLength, type TenantId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { afterToken, pageToken } from './box-page-token.ts';
import type { Database } from './database.ts';
import { parseBox } from './row-parsers.ts';
import { type Statement, statement } from './statement.ts';

const findBox = statement('find-box');
const listBoxes = statement('list-boxes');
const listBoxesWithLabels = statement('list-boxes-with-labels');
const listAllBoxes = statement('list-all-boxes');
const countBoxes = statement('count-boxes');

/** Candidates named when an id prefix fits several boxes. */
const ambiguousMax = 10;
const idPrefixPattern = new RegExp(`^(?:bx_)?([${idAlphabet}]{1,${idLength}})$`);

const rankRow = z.object({ rank: z.int() });
const countRow = z.object({ state: z.string(), boxes: z.int() });

export class PostgresBoxDirectory implements BoxDirectory {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(tenant: TenantId, nameOrId: string): Promise<BoxLookup> {
    const rest = idPrefixPattern.exec(nameOrId)?.[1];
    const prefix = rest === undefined || boxIdPattern.test(nameOrId) ? null : `bx_${rest}`;
    const rows = await this.#database.query(findBox, [tenant, nameOrId, prefix, ambiguousMax]);
    const [best, next] = rows;
    if (best === undefined) return { kind: 'none' };
    const byPrefixOnly = rankRow.parse(best).rank === 3;
    if (byPrefixOnly && next !== undefined)
      return { kind: 'ambiguous', boxIds: rows.map((row) => parseBox(row).boxId) };
    return { kind: 'found', box: parseBox(best) };
  }

  async list(
    tenant: TenantId,
    filter: BoxFilter,
    page: { readonly size: number; readonly token: string },
  ): Promise<{ readonly boxes: readonly BoxRecord[]; readonly nextPageToken: string }> {
    const size = Math.min(Math.max(1, page.size), limits.pageSizeMax);
    const after = afterToken(page.token);
    const { statement, values } = listing(filter);
    const rows = await this.#database.query(statement, [
      tenant,
      after.createdAt,
      after.boxId,
      size + 1,
      filter.states?.length ? filter.states : null,
      filter.namePrefix ?? null,
      ...values,
    ]);
    const boxes = rows.slice(0, size).map(parseBox);
    const last = boxes.at(-1);
    const more = rows.length > size && last !== undefined;
    return { boxes, nextPageToken: more ? pageToken(last) : '' };
  }

  async count(tenant: TenantId): Promise<Readonly<Record<string, number>>> {
    const rows = z.array(countRow).parse(await this.#database.query(countBoxes, [tenant]));
    return Object.fromEntries(rows.map(({ state, boxes }) => [state, boxes]));
  }
}

/** The statement whose index fits the filter, and what it takes besides the values that all take. */
const listing = (filter: BoxFilter): { statement: Statement; values: readonly unknown[] } => {
  const labels = JSON.stringify(filter.labels ?? {});
  if (filter.includeRemoved === true || filter.states?.includes('removed') === true)
    return { statement: listAllBoxes, values: [labels] };
  if (labels === '{}') return { statement: listBoxes, values: [] };
  return { statement: listBoxesWithLabels, values: [labels] };
};
