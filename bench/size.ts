import type { Logger } from 'pino';
import { openStore } from '../src/store/store.ts';
import { prepareLifecycle } from './lifecycle.ts';
import { openSimPlane } from './sim-plane.ts';

/** What the log takes on disk, by table and index. */
export interface Size {
  readonly events: number;
  readonly bytesPerEvent: number;
  readonly parts: readonly { readonly name: string; readonly bytesPerEvent: number }[];
}

const lives = 600;
const callers = 12;

/** Boxes live their lives with simulated boxes; then the log is weighed, with all of its indexes. */
export const measureSize = async (databaseUrl: string, log: Logger): Promise<Size> => {
  const plane = await openSimPlane(databaseUrl, process.env['REDIS_URL'], log);
  const live = prepareLifecycle(plane);
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let life = 0; life < lives / callers; life += 1) await live(caller);
    }),
  );
  await plane.close();
  return weigh(databaseUrl, log);
};

const weigh = async (databaseUrl: string, log: Logger): Promise<Size> => {
  const store = await openStore({ databaseUrl, log });
  try {
    const { rows } = await store.pool.query<{ name: string; bytes: string; events: string }>(
      `SELECT c.relname AS name, pg_table_size(c.oid) AS bytes, (SELECT count(*) FROM boxledger.events) AS events
       FROM pg_class c
       WHERE c.oid = 'boxledger.events_1'::regclass
         OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'boxledger.events_1'::regclass)
       ORDER BY c.relkind DESC, c.relname`,
    );
    const events = Number(rows[0]?.events);
    const parts = rows.map(({ name, bytes }) => ({ name, bytesPerEvent: Number(bytes) / events }));
    return { events, parts, bytesPerEvent: parts.reduce((sum, part) => sum + part.bytesPerEvent, 0) };
  } finally {
    await store.close();
  }
};

export const sizeLine = ({ events, bytesPerEvent, parts }: Size): string =>
  `size: ${bytesPerEvent.toFixed(0)} bytes an event on disk, over ${events} events (${parts
    .map((part) => `${part.name} ${part.bytesPerEvent.toFixed(0)}`)
    .join(', ')})`;
