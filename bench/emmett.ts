import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';
import type { Operation } from './callers.ts';

/**
 * The peer of `append` that is an event store: Emmett's bare `appendToStream` of one event, with no projection inline and no
 * version expected. It keeps events and streams' versions, and no head, effects, read model, idempotency or hash chain.
 */
export const prepareEmmett = async (databaseUrl: string, pool: pg.Pool): Promise<Operation> => {
  const restore = keepTypeParsers();
  const store = getPostgreSQLEventStore(databaseUrl, { connectionOptions: { pool } });
  await store.schema.migrate();
  restore();
  return async (caller) => {
    await store.appendToStream(`box-${caller}`, [{ type: 'box.healthChanged', data: { health: 'healthy' } }]);
    return {};
  };
};

/**
 * Once a process, Emmett tells `pg` to parse integers and JSON in its own, slower way, for whoever uses `pg` in that process:
 * the other subjects would be measured with it, and the store could not read its rows. Emmett itself does without.
 */
const keepTypeParsers = (): (() => void) => {
  const { builtins } = pg.types;
  const types = [builtins.INT8, builtins.JSON, builtins.JSONB];
  const kept = types.map((type) => [type, pg.types.getTypeParser(type)] as const);
  return () => {
    for (const [type, parser] of kept) pg.types.setTypeParser(type, parser);
  };
};
