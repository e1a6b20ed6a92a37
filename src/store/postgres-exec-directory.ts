import type { ExecDirectory } from '../commands/event-store.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { type BoxId, execId, type HostId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { timestampFromMs } from '../kernel/time.ts';
import type { Database } from './database.ts';
import { parseExecCounts, parseLastUse, parseListedExec, parseOpenExec } from './exec-row-parsers.ts';
import { statement } from './statement.ts';

const openExecs = statement('open-execs');
const listExecs = statement('list-execs');
const lastUses = statement('last-uses');
const countExecs = statement('count-execs');

export class PostgresExecDirectory implements ExecDirectory {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async open(hostId: HostId, after: string, limit: number): ReturnType<ExecDirectory['open']> {
    const rows = await this.#database.query(openExecs, [hostId, after, limit]);
    return rows.map(parseOpenExec);
  }

  async lastUses(hostId: HostId, after: string, limit: number): ReturnType<ExecDirectory['lastUses']> {
    const rows = await this.#database.query(lastUses, [hostId, after, limit]);
    return rows.map(parseLastUse);
  }

  async count(boxId: BoxId): ReturnType<ExecDirectory['count']> {
    const [row] = await this.#database.query(countExecs, [boxId]);
    return parseExecCounts(row);
  }

  async list(
    boxId: BoxId,
    includeEnded: boolean,
    page: { readonly size: number; readonly token: string },
  ): ReturnType<ExecDirectory['list']> {
    const size = Math.min(Math.max(1, page.size), limits.pageSizeMax);
    const { requestedAt, before } = beforeToken(page.token);
    const values = [boxId, requestedAt, before, size + 1, includeEnded];
    const rows = (await this.#database.query(listExecs, values)).map(parseListedExec);
    const listed = rows.slice(0, size);
    const last = listed.at(-1);
    const more = rows.length > size && last !== undefined;
    return {
      execIds: listed.map((row) => row.execId),
      nextPageToken: more ? `${Date.parse(last.requestedAt)}.${last.execId}` : '',
    };
  }
}

/** Where a list goes on: before this exec. */
const beforeToken = (token: string) => {
  if (token === '') return { requestedAt: 'infinity', before: '' };
  const [, requestedAtMs, id] = /^(\d{1,15})\.(ex_[0-9a-z]+)$/.exec(token) ?? [];
  try {
    return { requestedAt: timestampFromMs(Number(requestedAtMs)), before: execId(id ?? '') };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw BoxledgerError.fromRefusal(
      invalidArgument([{ field: 'page_token', problem: 'was not given out by this list' }]),
    );
  }
};
