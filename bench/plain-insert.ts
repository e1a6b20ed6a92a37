import type pg from 'pg';
import type { Operation } from './callers.ts';

/**
 * The peer of `append`: what a program pays that keeps its events in a plain table, one INSERT and one commit each. It
 * keeps no head, effects, read model, idempotency or hash chain.
 */
export const preparePlainInsert = async (pool: pg.Pool): Promise<Operation> => {
  await pool.query('DROP SCHEMA IF EXISTS bench CASCADE');
  await pool.query('CREATE SCHEMA bench');
  await pool.query(`
    CREATE TABLE bench.events (
      position bigint GENERATED ALWAYS AS IDENTITY,
      stream_id text NOT NULL,
      version bigint NOT NULL,
      type text NOT NULL,
      data jsonb NOT NULL,
      occurred_at timestamptz NOT NULL,
      PRIMARY KEY (stream_id, version)
    )`);
  const versions: number[] = [];
  return async (caller) => {
    const version = (versions[caller] ?? 0) + 1;
    versions[caller] = version;
    await pool.query({
      name: 'plain-insert',
      text: 'INSERT INTO bench.events (stream_id, version, type, data, occurred_at) VALUES ($1, $2, $3, $4, now())',
      values: [`plain/${caller}`, version, 'box.healthChanged', { health: 'healthy' }],
    });
    return {};
  };
};
