import { setTimeout as after } from 'node:timers/promises';
import type pg from 'pg';
import { z } from 'zod';
import { advisoryLocks } from './advisory-locks.ts';
import { withConnection } from './database.ts';
import { type Statement, statement } from './statement.ts';
import type { StoreLog } from './store-log.ts';

const cleanCommands = statement('clean-commands');
const cleanEffects = statement('clean-effects');

/** 2 MiB of a table, which is a few milliseconds of work. */
const pagesAtOnce = 256;

export interface Retention {
  /** After so long a command may be carried out again under the same id. */
  readonly commandsMs: number;
  /** How long effects that are over are kept after their deadline. */
  readonly effectsMs: number;
}

export interface Cleaned {
  readonly commands: number;
  readonly effects: number;
}

/**
 * Forgets what the tables besides the log hold of long ago. Goes through each table once, from its first page to its last,
 * a stretch at a time: no index has to be kept for it, and the hot path pays nothing. Rests as long as it works. Undefined
 * when another process is at it.
 */
export const clean = (
  databaseUrl: string,
  { commandsMs, effectsMs }: Retention,
  signal: AbortSignal,
): Promise<Cleaned | undefined> =>
  withConnection(databaseUrl, async (client) => {
    const { rowCount } = await client.query('SELECT WHERE pg_try_advisory_lock($1)', [
      advisoryLocks.cleaning,
    ]);
    if (rowCount === 0) return undefined;
    const commands = await sweep(client, 'boxledger.commands', cleanCommands, commandsMs, signal);
    const effects = await sweep(client, 'boxledger.effects', cleanEffects, effectsMs, signal);
    return { commands, effects };
  });

const pagesRow = z.object({ pages: z.coerce.number() });

const sweep = async (
  client: pg.Client,
  table: string,
  { text }: Statement,
  keptMs: number,
  signal: AbortSignal,
): Promise<number> => {
  const { rows } = await client.query(
    "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint AS pages",
    [table],
  );
  const { pages } = pagesRow.parse(rows[0]);
  let gone = 0;
  for (let page = 0; page < pages && !signal.aborted; page += pagesAtOnce) {
    const beganMs = performance.now();
    gone += (await client.query(text, [page, page + pagesAtOnce, keptMs])).rowCount ?? 0;
    await rest(performance.now() - beganMs, signal);
  }
  return gone;
};

/** Ends early, without an error, when the signal fires. */
const rest = async (ms: number, signal: AbortSignal): Promise<void> => {
  await after(ms, undefined, { signal, ref: false }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
};

export interface CleanerOptions {
  readonly databaseUrl: string;
  readonly retention: Retention;
  readonly log: StoreLog;
  readonly firstAfterMs?: number;
  readonly intervalMs?: number;
}

/** Cleans again and again, in one process of all that run on a database. */
export class Cleaner {
  readonly #options: Required<CleanerOptions>;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: CleanerOptions) {
    this.#options = { firstAfterMs: 60_000, intervalMs: 3_600_000, ...options };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { databaseUrl, retention, log, firstAfterMs, intervalMs } = this.#options;
    const { signal } = this.#closing;
    await rest(firstAfterMs, signal);
    while (!signal.aborted) {
      try {
        const cleaned = await clean(databaseUrl, retention, signal);
        if (cleaned !== undefined && cleaned.commands + cleaned.effects > 0)
          log.info({ ...cleaned }, 'commands and effects of long ago were forgotten');
      } catch (err) {
        log.warn({ err }, 'cleaning was cut short; the next makes it good');
      }
      await rest(intervalMs, signal);
    }
  }
}
