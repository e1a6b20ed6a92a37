import { BrokenInvariant } from '../kernel/assert.ts';
import { BoxledgerError } from '../kernel/errors.ts';

/** How a failure of the database looks to a caller. */
interface Meaning {
  readonly code: 'Unavailable' | 'Internal';
  readonly message: string;
  readonly help?: string;
  /** The transaction was certainly rolled back, so the same statement may be sent again at once. */
  readonly rolledBack?: true;
}

const unreachable: Meaning = {
  code: 'Unavailable',
  message: 'the database cannot be reached',
  help: 'Call again; with the same command id the command is carried out once.',
};
const busy: Meaning = {
  code: 'Unavailable',
  message: 'the database is too busy',
  help: 'Call again later; with the same command id the command is carried out once.',
};
const raced: Meaning = {
  code: 'Unavailable',
  message: 'the database gave up on racing transactions',
  help: 'Call again.',
  rolledBack: true,
};
const credentials: Meaning = {
  code: 'Internal',
  message: 'the database refuses the credentials',
  help: 'Check the user and password in DATABASE_URL.',
};
const notMigrated: Meaning = {
  code: 'Internal',
  message: "the database lacks boxledger's tables",
  help: 'Run boxledger migrate.',
};
const unknown: Meaning = { code: 'Internal', message: 'the database failed' };

/** By SQLSTATE or, where none of its five characters fits, by its first two (the class). */
const bySqlState: Readonly<Record<string, Meaning>> = {
  '08': unreachable,
  '57P01': unreachable, // admin_shutdown
  '57P02': unreachable, // crash_shutdown
  '57P03': unreachable, // cannot_connect_now: starting up, shutting down, in recovery
  '57P05': unreachable, // idle_session_timeout
  '25006': unreachable, // read_only_sql_transaction: a standby after a fail-over
  '53': busy, // insufficient_resources: connections, memory, disk
  '55P03': busy, // lock_not_available
  '57014': busy, // query_canceled by statement_timeout
  '40001': raced, // serialization_failure
  '40P01': raced, // deadlock_detected
  '28': credentials,
  '3D000': { code: 'Internal', message: 'the database does not exist', help: 'Check DATABASE_URL.' },
  '3F000': notMigrated,
  '42P01': notMigrated, // undefined_table
  '42883': notMigrated, // undefined_function
  '42501': { code: 'Internal', message: "the database's role may not do this", help: 'Grant it the rights.' },
};

const byErrno: Readonly<Record<string, Meaning>> = Object.fromEntries(
  [
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'EPIPE',
    'ETIMEDOUT',
    'ENOENT', // the unix socket's file is gone
    'ENOTFOUND',
    'EAI_AGAIN',
    'EHOSTUNREACH',
    'ENETUNREACH',
  ].map((errno) => [errno, unreachable]),
);

/**
 * What an error thrown by a call of `pg` means. An error without a code comes from `pg` itself and always means a lost
 * or slow connection; anything but a plain `Error` is a fault in the program.
 */
const meaningOf = (error: unknown): Meaning => {
  if (!(error instanceof Error)) return unknown;
  const code: unknown = 'code' in error ? error.code : undefined;
  if (typeof code !== 'string')
    return Object.getPrototypeOf(error) === Error.prototype ? unreachable : unknown;
  return bySqlState[code] ?? byErrno[code] ?? bySqlState[code.slice(0, 2)] ?? unknown;
};

export const isRolledBack = (error: unknown): boolean => meaningOf(error).rolledBack === true;

/** The typed error for whatever a call of `pg` threw. Errors of our own pass through. */
export const databaseError = (error: unknown): Error => {
  if (error instanceof BoxledgerError || error instanceof BrokenInvariant) return error;
  const { code, message, help } = meaningOf(error);
  const databaseCode = error instanceof Error && 'code' in error ? error.code : undefined;
  return new BoxledgerError(code, message, {
    help,
    cause: error,
    ...(typeof databaseCode === 'string' ? { details: { databaseCode } } : {}),
  });
};
