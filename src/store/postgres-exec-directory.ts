import type { ExecDirectory } from '../commands/event-store.ts';
import type { Database } from './database.ts';
import { parseOpenExec } from './row-parsers.ts';
import { statement } from './statement.ts';

const openExecs = statement('open-execs');

export class PostgresExecDirectory implements ExecDirectory {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async open(after: string, limit: number): ReturnType<ExecDirectory['open']> {
    const rows = await this.#database.query(openExecs, [after, limit]);
    return rows.map(parseOpenExec);
  }
}
