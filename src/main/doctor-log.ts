import type { Finding } from '../cli/server-commands.ts';
import type { LogBlocker } from '../commands/log-lag.ts';
import { readStanding } from '../store/roles.ts';
import type { Store } from '../store/store.ts';

const lagMaxMs = 5_000;

/** What is to be said of the log in a database that answers: who may change it, and who holds its readers back. */
export const examineLog = async (store: Store, databaseUrl: string): Promise<readonly Finding[]> => {
  const { rowCount } = await store.pool.query("SELECT WHERE to_regclass('boxledger.log_epochs') IS NOT NULL");
  if (rowCount === 0)
    return [{ name: 'log', status: 'ok', detail: 'not in this database yet; serve or migrate makes it' }];
  return [await rights(databaseUrl), await readers(store)];
};

const rights = async (databaseUrl: string): Promise<Finding> => {
  const { role, isSuperuser, ownsLog } = await readStanding(databaseUrl);
  if (!isSuperuser && !ownsLog)
    return { name: 'rights', status: 'ok', detail: `${role} adds to the log and cannot change it` };
  return {
    name: 'rights',
    status: 'warning',
    detail: `${role} is ${isSuperuser ? 'a superuser' : 'the owner of the log'} and can change what was recorded`,
    help: 'Serve as boxledger_service: docs/configuration.md, "The roles".',
  };
};

const readers = async (store: Store): Promise<Finding> => {
  const { lagMs, blocker } = await store.log.lag();
  const behind = `readers are ${seconds(lagMs)} behind`;
  const detail = blocker === null ? behind : `${behind}; the oldest writer is ${describe(blocker)}`;
  if (lagMs < lagMaxMs) return { name: 'readers', status: 'ok', detail };
  return {
    name: 'readers',
    status: 'warning',
    detail,
    help: 'End that transaction; nothing is lost meanwhile.',
  };
};

const describe = ({ pid, application, database, user, transactionAgeMs, queryAgeMs }: LogBlocker): string =>
  [
    pid === null ? `the prepared transaction ${application}` : `pid ${pid} (${application || 'no name'})`,
    `of ${user} in ${database}`,
    ...(transactionAgeMs === null ? [] : [`begun ${seconds(transactionAgeMs)} ago`]),
    ...(queryAgeMs === null ? [] : [`last statement ${seconds(queryAgeMs)} ago`]),
  ].join(', ');

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
