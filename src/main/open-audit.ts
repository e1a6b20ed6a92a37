import type { AuditSource } from '../audit/audit-source.ts';
import type { ServeOptions } from '../cli/serve-options.ts';
import { PostgresAuditLog } from '../store/postgres-audit-log.ts';
import { logDatabase } from './log-database.ts';
import { serviceLog } from './service-log.ts';
import { Teardown } from './teardown.ts';

/** Opens the log for whoever audits it. No server is asked: an audit that believes the server proves nothing. */
export const openAudit = async (options: ServeOptions): Promise<AuditSource> => {
  const log = serviceLog(options.logLevel);
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    const url = await logDatabase(options, log, teardown);
    return await PostgresAuditLog.open(url, () => teardown.run());
  } catch (error) {
    await teardown.run();
    throw error;
  }
};
