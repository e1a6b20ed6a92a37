import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { z } from 'zod';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ArchiveUnit } from './archive-plan.ts';
import { inTransaction } from './database.ts';
import { statement } from './statement.ts';

const fillGoingOn = statement('archive-going-on');
const pageEnd = statement('archive-page-end');
const insertArchive = statement('insert-archive');
const insertStreams = statement('insert-archived-streams');

const pageSize = 10_000;
const bounds = {
  /**
   * An append waits no longer than this for the moment in which partitions are exchanged, whoever else is in the way: at first
   * only the one, and with each try as much more, since what is in the way may be appends that take so long.
   */
  lockTimeoutMs: 50,
  lockTimeoutMaxMs: 250,
  tries: 60,
  restMs: 500,
} as const;
const lockNotAvailable = '55P03';

/**
 * Takes the partitions of an archive out of the database. Streams that go on stay from their first event on: they are copied
 * into one table, which takes the place of these partitions and of what was kept of all before. All of it is made ready
 * beside the log; what locks the log is the exchange alone, which commits together with the archive's row or not at all.
 */
export const dropArchived = async (
  client: pg.ClientBase,
  unit: ArchiveUnit,
  sha256: string,
  signal: AbortSignal,
): Promise<void> => {
  const kept = `events_kept_${unit.number}`;
  await client.query(`DROP TABLE IF EXISTS boxledger.${kept}`); // of a try that was cut short
  await client.query(`SELECT boxledger.make_partition('${kept}')`);
  await client.query('DROP TABLE IF EXISTS archive_going_on');
  await client.query('CREATE TEMP TABLE archive_going_on (stream_id text COLLATE "C" PRIMARY KEY)');
  await client.query(fillGoingOn.text, [unit.ends]);
  await client.query('ANALYZE archive_going_on');
  await copyKept(client, kept, unit.ends, signal);
  // By this the table is known to fit without being looked through while the log is locked.
  await client.query(
    `ALTER TABLE boxledger.${kept} ADD CONSTRAINT ${kept}_range CHECK (transaction_id >= '0' AND transaction_id < '${unit.ends}')`,
  );
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    try {
      return await inTransaction(client, () =>
        exchange(client, unit, kept, sha256, Math.min(bounds.lockTimeoutMs * tries, bounds.lockTimeoutMaxMs)),
      );
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== lockNotAvailable) throw error;
      if (tries === bounds.tries)
        throw new BoxledgerError(
          'Unavailable',
          'readers of the log are at work, and partitions cannot leave',
          {
            help: 'Run boxledger archive again later, when no audit and no backup runs; its file is found and used.',
            cause: error,
          },
        );
    }
    await sleep(bounds.restMs, undefined, { signal });
  }
};

const placeRow = z.object({ transaction_id: z.string(), position: z.string() });

/** A stretch at a time, so that no long transaction holds back the readers of the log. */
const copyKept = async (client: pg.ClientBase, kept: string, ends: string, signal: AbortSignal) => {
  for (let after = ['0', String(-(2n ** 63n))]; ; ) {
    signal.throwIfAborted();
    const { rows } = await client.query(pageEnd.text, [...after, ends, pageSize]);
    if (rows[0] === undefined) return;
    const { transaction_id, position } = placeRow.parse(rows[0]);
    await client.query(
      `INSERT INTO boxledger.${kept}
       SELECT e.* FROM boxledger.events e JOIN archive_going_on USING (stream_id)
       WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint) AND e.transaction_id >= $1::xid8
         AND (e.transaction_id, e.position) <= ($3::xid8, $4::bigint) AND e.transaction_id <= $3::xid8`,
      [...after, transaction_id, position],
    );
    after = [transaction_id, position];
  }
};

const exchange = async (
  client: pg.ClientBase,
  unit: ArchiveUnit,
  kept: string,
  sha256: string,
  lockTimeoutMs: number,
) => {
  const { number, file, events, fromSequence, begins, ends, last } = unit;
  await client.query(insertArchive.text, [
    number,
    file,
    sha256,
    events,
    fromSequence,
    last.sequence,
    begins,
    ends,
    last.to.transactionId,
    last.to.position,
  ]);
  await client.query(insertStreams.text, [number, ends]);
  await client.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
  await client.query('LOCK TABLE ONLY boxledger.events IN ACCESS EXCLUSIVE MODE');
  const old = [
    ...unit.partitions.map((partition) => `events_${partition}`),
    ...(number === 1 ? [] : [`events_kept_${number - 1}`]),
  ];
  for (const table of old) await client.query(`DROP TABLE boxledger.${table}`);
  await client.query(
    `ALTER TABLE boxledger.events ATTACH PARTITION boxledger.${kept} FOR VALUES FROM ('0') TO ('${ends}')`,
  );
  await client.query('DELETE FROM boxledger.partitions WHERE number = ANY ($1::integer[])', [
    unit.partitions,
  ]);
};
