import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import type pg from 'pg';
import type { Operation } from './load.ts';

/**
 * The peer of `append` that is an event store: Emmett's bare `appendToStream` of one event, with no projection inline and no
 * version expected. It keeps events and streams' versions, and no head, effects, read model, idempotency or hash chain.
 */
export const prepareEmmett = async (databaseUrl: string, pool: pg.Pool): Promise<Operation> => {
  const store = getPostgreSQLEventStore(databaseUrl, { connectionOptions: { pool } });
  await store.schema.migrate();
  return async (caller) => {
    await store.appendToStream(`box-${caller}`, [{ type: 'box.healthChanged', data: { health: 'healthy' } }]);
    return {};
  };
};
