import type pg from 'pg';
import { z } from 'zod';
import { archiveName } from '../audit/archive-dir.ts';
import type { ArchiveRecord } from '../audit/archive-record.ts';
import { type Checkpoint, readCheckpoint } from '../audit/checkpoint.ts';
import { comparePlaces, type Place } from '../audit/place.ts';
import { assert } from '../kernel/assert.ts';
import { archiveRecord } from './audit-rows.ts';
import { placeOf } from './cursor.ts';
import { statement } from './statement.ts';

const candidates = statement('archive-candidates');
const archiveRows = statement('audit-archives');
const lastCheckpoint = statement('last-checkpoint');
const listConsumers = statement('list-consumers');

/** Only what is older: by the time of its last checkpoint, or by its number. */
export type Before = { readonly time: Date } | { readonly sequence: number };

/** What leaves the database at once: one partition or more, signed by checkpoints that sign nothing else. */
export interface ArchiveUnit {
  /** The archive's. */
  readonly number: number;
  readonly file: string;
  readonly partitions: readonly number[];
  /** Of the transactions of its partitions: the first, and the first after them. */
  readonly begins: string;
  readonly ends: string;
  readonly fromSequence: number;
  /** The checkpoint that it ends with. */
  readonly last: Checkpoint;
  readonly events: number;
}

export interface ArchivePlan {
  readonly units: readonly ArchiveUnit[];
  /** Why what comes next stays, in words. */
  readonly stays: string;
}

const partitionRow = z.object({
  number: z.int(),
  begins: z.string(),
  ends: z.string(),
  transaction_id: z.string().nullable(),
  position: z.string().nullable(),
  body: z.string().nullable(),
});
const consumerRow = z.object({ name: z.string(), cursor: z.string() });

/** What can leave the database now, oldest first. Changes nothing. */
export const planArchives = async (client: pg.ClientBase, before: Before): Promise<ArchivePlan> => {
  const partitions = z.array(partitionRow).parse((await client.query(candidates.text)).rows);
  const archived = (await client.query(archiveRows.text)).rows.map(archiveRecord);
  const signed = await signedUpTo(client);
  const slowest = await slowestConsumer(client);
  const units: ArchiveUnit[] = [];
  let total = archived.reduce((sum, { events }) => sum + events, 0);
  let open: (typeof partitions)[number][] = [];
  for (const partition of partitions) {
    open.push(partition);
    const { transaction_id: transactionId, position, body } = partition;
    if (transactionId === null || position === null) continue; // empty: it leaves with what comes after it
    const place = { transactionId, position };
    if (signed === undefined || comparePlaces(signed.to, place) < 0)
      return { units, stays: `partition ${partition.number} is not signed to its end yet` };
    if (body === null) continue; // a checkpoint reaches into the next one: both leave together
    const last = readCheckpoint(body);
    assert(
      typeof last !== 'string',
      `the checkpoint at the end of partition ${partition.number} can be read`,
    );
    const reason = tooYoung(last, before) ?? unread(place, slowest);
    if (reason !== undefined) return { units, stays: reason };
    units.push(unitOf(open, last, units.at(-1) ?? archived.at(-1), total));
    total = last.total;
    open = [];
  }
  return { units, stays: 'what comes next is in a partition that is still being added to' };
};

const unitOf = (
  partitions: readonly z.infer<typeof partitionRow>[],
  last: Checkpoint,
  previous: ArchiveUnit | ArchiveRecord | undefined,
  total: number,
): ArchiveUnit => {
  const fromSequence = previous === undefined ? 1 : lastSequence(previous) + 1;
  return {
    number: (previous?.number ?? 0) + 1,
    file: archiveName(fromSequence, last.sequence),
    partitions: partitions.map(({ number }) => number),
    begins: partitions[0]?.begins ?? '0',
    ends: partitions.at(-1)?.ends ?? '0',
    fromSequence,
    last,
    events: last.total - total,
  };
};

const lastSequence = (previous: ArchiveUnit | ArchiveRecord): number =>
  'last' in previous ? previous.last.sequence : previous.toSequence;

const tooYoung = ({ sequence, time }: Checkpoint, before: Before): string | undefined =>
  'time' in before
    ? new Date(time) < before.time
      ? undefined
      : `what comes next was signed last at ${time}, by checkpoint ${sequence}`
    : sequence < before.sequence
      ? undefined
      : `what comes next ends with checkpoint ${sequence}`;

const unread = (place: Place, slowest: { name: string; place: Place } | undefined): string | undefined =>
  slowest === undefined || comparePlaces(slowest.place, place) >= 0
    ? undefined
    : `the consumer ${slowest.name} has not read what comes next`;

const signedUpTo = async (client: pg.ClientBase): Promise<Checkpoint | undefined> => {
  const body: unknown = (await client.query(lastCheckpoint.text)).rows[0]?.body;
  const checkpoint = typeof body === 'string' ? readCheckpoint(body) : undefined;
  return typeof checkpoint === 'string' ? undefined : checkpoint;
};

const slowestConsumer = async (client: pg.ClientBase) => {
  const rows = z.array(consumerRow).parse((await client.query(listConsumers.text)).rows);
  return rows
    .map(({ name, cursor }) => ({ name, place: placeOf(cursor) }))
    .sort((a, b) => comparePlaces(a.place, b.place))[0];
};
