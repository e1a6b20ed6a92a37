import type { Logger } from 'pino';
import type { ServeOptions } from '../cli/serve-options.ts';
import { prepareQueueSchema } from '../effects/postgres-carrier.ts';
import { migrate } from '../store/migrate.ts';
import { type Standing, settleRoles } from '../store/roles.ts';

/** Where the words of these warnings are explained. */
const manual = 'docs/configuration.md, "The roles"';

/**
 * Brings schema, queue and roles of a database up to this program, as far as its role may. The service's role finds it all
 * done, or is told what it lacks.
 */
export const prepareDatabase = async (
  databaseUrl: string,
  { redisUrl }: Pick<ServeOptions, 'redisUrl'>,
  log: Logger,
): Promise<{ readonly applied: readonly string[]; readonly standing: Standing }> => {
  const applied = await migrate(databaseUrl);
  if (applied.length > 0) log.info({ applied }, 'schema migrated');
  if (redisUrl === undefined) await prepareQueueSchema(databaseUrl, log);
  const standing = await settleRoles(databaseUrl);
  if (!standing.rolesSettled)
    log.warn(
      { role: standing.role },
      `this role may not make boxledger's roles, so who can serve can also change the log: see ${manual}`,
    );
  return { applied, standing };
};

/** Says once what the role that serves could do to the log. */
export const warnOfPower = ({ role, isSuperuser, ownsLog, rolesSettled }: Standing, log: Logger): void => {
  if (!rolesSettled || (!isSuperuser && !ownsLog)) return;
  log.warn(
    { role },
    `serving as ${isSuperuser ? 'a superuser' : 'the owner of the log'}, who can change what was recorded: serve as boxledger_service, see ${manual}`,
  );
};
