import { BoxledgerError } from '../kernel/errors.ts';

/** What cannot be reached while a server starts is its operator's to correct; `help` says how. */
export const atStart = async <Opened>(help: string, open: () => Promise<Opened>): Promise<Opened> => {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof BoxledgerError) || error.code !== 'Unavailable') throw error;
    const { code, message, details } = error;
    throw new BoxledgerError(code, message, { help, details, cause: error });
  }
};

export const databaseHelp = 'Start Postgres, or correct DATABASE_URL.';
export const redisHelp = 'Start Redis, or correct REDIS_URL.';
