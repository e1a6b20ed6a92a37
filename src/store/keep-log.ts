import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { BoxledgerError } from '../kernel/errors.ts';
import type { Database } from './database.ts';
import { statement } from './statement.ts';

const keepLogStatement = statement('keep-log');

/** Everybody else's appends and reads stand still for so long at most when somebody reads the log for longer. */
const lockWait = '250ms';
const retryDelayMs = 500;
const triesMax = 80;
const lockNotAvailable = '55P03';

const hasCode = (error: unknown, code: string) =>
  error instanceof Error && 'code' in error && error.code === code;

const hindered = (cause: unknown) =>
  new BoxledgerError(
    'InvalidState',
    'the log is in another server or database than before, and its new epoch cannot begin while others read it',
    { help: 'End what reads the log for long, such as an audit or a dump.', cause },
  );

/**
 * Begins an epoch of the log when its server or database is another than before, and adds partitions ahead of need. Throws
 * `InvalidState` while others read a log whose epoch should begin.
 */
export const keepLog = async (database: Database, partitionEvents: number): Promise<void> => {
  try {
    await database.query(keepLogStatement, [partitionEvents, lockWait]);
  } catch (error) {
    throw error instanceof BoxledgerError && hasCode(error.cause, lockNotAvailable) ? hindered(error) : error;
  }
};

/** The same before anything is served: without its epoch the order of the log would break, so whoever reads is waited for. */
export const keepLogPatiently = async (client: pg.Client, partitionEvents: number): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query(keepLogStatement.text, [partitionEvents, lockWait]);
      return;
    } catch (error) {
      if (!hasCode(error, lockNotAvailable)) throw error;
      if (tries === triesMax) throw hindered(error);
    }
    await sleep(retryDelayMs);
  }
};
