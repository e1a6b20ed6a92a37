import type { Logger } from 'pino';
import { openStore } from '../src/store/store.ts';
import type { Benchmark } from './benchmark.ts';
import { prepareBoxLife } from './box-life.ts';
import type { Figure } from './figure.ts';
import { openSimPlane } from './sim-plane.ts';

const lives = 600;
const callers = 12;

/** Boxes live their lives with simulated boxes; then the log is weighed, with all of its indexes. One round: sizes are not noisy. */
export const benchSize: Benchmark = async ({ databaseUrl, log }) => {
  const plane = await openSimPlane(databaseUrl, process.env['REDIS_URL'], log);
  const live = prepareBoxLife(plane);
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let life = 0; life < lives / callers; life += 1) await live(caller);
    }),
  );
  await plane.close();
  const { events, parts } = await weigh(databaseUrl, log);
  const figure = (subject: string, bytes: number): Figure => ({
    benchmark: 'size',
    subject,
    callers: null,
    unit: 'bytes',
    rounds: [bytes],
  });
  const total = parts.reduce((sum, { bytesPerEvent }) => sum + bytesPerEvent, 0);
  return [
    figure(`an event on disk, of ${events}`, total),
    ...parts.map(({ name, bytesPerEvent }) => figure(`  ${name}`, bytesPerEvent)),
  ];
};

/** By table and index. */
interface Weight {
  readonly events: number;
  readonly parts: readonly { readonly name: string; readonly bytesPerEvent: number }[];
}

const weigh = async (databaseUrl: string, log: Logger): Promise<Weight> => {
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
    return { events, parts };
  } finally {
    await store.close();
  }
};
