import { z } from 'zod';
import type { ConsumerLease, ConsumerRecord, ConsumerStore } from '../commands/consumer-store.ts';
import type { Cursor } from '../commands/event-store.ts';
import { placeOf } from './cursor.ts';
import type { Database } from './database.ts';
import { statement } from './statement.ts';

const takeConsumer = statement('take-consumer');
const keepConsumer = statement('keep-consumer');
const releaseConsumer = statement('release-consumer');
const restartConsumer = statement('restart-consumer');
const listConsumers = statement('list-consumers');

const leaseRow = z
  .object({ name: z.string(), lease_number: z.string(), cursor: z.string() })
  .transform(({ lease_number, ...row }) => ({ ...row, number: lease_number }));
const consumerRow = z.object({ name: z.string(), cursor: z.string(), holder: z.string().nullable() });

/** Leases are measured by the database's clock, and numbered, so that no holder's clock matters. */
export class PostgresConsumerStore implements ConsumerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async take(name: string, holder: string, leaseMs: number): Promise<ConsumerLease | undefined> {
    const [row] = await this.#database.query(takeConsumer, [name, holder, leaseMs]);
    return row === undefined ? undefined : leaseRow.parse(row);
  }

  async keep({ name, number }: ConsumerLease, leaseMs: number, cursor: Cursor): Promise<boolean> {
    return (await this.#database.query(keepConsumer, [name, number, leaseMs, cursor])).length > 0;
  }

  async release({ name, number }: ConsumerLease, cursor: Cursor): Promise<void> {
    await this.#database.query(releaseConsumer, [name, number, cursor]);
  }

  async restart(name: string, cursor: Cursor): Promise<void> {
    placeOf(cursor); // what is none is refused now, not when it is read by
    await this.#database.query(restartConsumer, [name, cursor]);
  }

  async list(): Promise<readonly ConsumerRecord[]> {
    return z.array(consumerRow).parse(await this.#database.query(listConsumers, []));
  }
}
