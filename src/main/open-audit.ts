import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import type { AuditSource } from '../audit/audit-source.ts';
import type { ServeOptions } from '../cli/serve-options.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type DataDirLock, lockDataDir } from '../store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';
import { PostgresAuditLog } from '../store/postgres-audit-log.ts';
import { runningPostgresUrl } from '../store/running-postgres.ts';
import { Teardown } from './teardown.ts';

/**
 * Opens the log for whoever audits it: the configured database, or the one under the data dir, as it is while a server
 * uses it, else started for as long as it is read. No server is asked: an audit that believes the server proves nothing.
 */
export const openAudit = async ({ dataDir, databaseUrl, logLevel }: ServeOptions): Promise<AuditSource> => {
  if (databaseUrl !== undefined) return PostgresAuditLog.open(databaseUrl);
  if (!existsSync(join(dataDir, 'postgres')))
    throw new BoxledgerError('NotFound', `there is no log in ${dataDir}`, {
      help: 'Give the data dir of a server by --data-dir, its database by --database-url, or an export by --file.',
    });
  const lock = await lockIfFree(dataDir);
  if (lock === undefined) return PostgresAuditLog.open(await runningPostgresUrl(dataDir));
  const log = pino({ level: logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  teardown.add('lock', () => lock.release());
  try {
    const postgres = await openEmbeddedPostgres(dataDir, log);
    teardown.add('embedded Postgres', () => postgres.close());
    return await PostgresAuditLog.open(postgres.url, () => teardown.run());
  } catch (error) {
    await teardown.run();
    throw error;
  }
};

/** Undefined when a server has the data dir. */
const lockIfFree = async (dataDir: string): Promise<DataDirLock | undefined> => {
  try {
    return await lockDataDir(dataDir);
  } catch (error) {
    if (error instanceof BoxledgerError && error.code === 'InvalidState') return undefined;
    throw error;
  }
};
