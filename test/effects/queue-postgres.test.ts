import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import { postgresCarrier } from '../../src/effects/postgres-carrier.ts';
import { effectQueueContract, type QueueUnderTest } from '../contract/effect-queue.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { dieInDelivery } from '../support/die-in-delivery.ts';

const log = pino({ level: 'silent' });

describe('effect queue on Postgres', () => {
  let database: TestDatabase;
  let subject: QueueUnderTest;

  beforeAll(async () => {
    database = await createDatabase();
    const carrier = await postgresCarrier(database.url, log);
    subject = {
      queue: new BullmqEffectQueue(carrier, { log, stalledCheckMs: 500 }),
      addMalformed: async (hostId) => {
        const queue = carrier.queue(`effects-${hostId}`, {});
        await queue.addBulk([{ name: 'effect', data: { effectId: 'what:ever' } }]);
        await queue.close();
      },
      dieInDelivery: (hostId) => dieInDelivery(database.url, hostId),
    };
  });
  afterAll(async () => {
    await subject.queue.close();
    await database.drop();
  });

  effectQueueContract(() => subject);

  test('its tables are in a schema of their own', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query(
      `SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    await client.end();
    expect(rows).toEqual([{ schemaname: 'boxledger_queue' }]);
  });

  test('a database that is not there is Unavailable', async () => {
    const url = new URL(database.url);
    url.port = '1';
    await expect(postgresCarrier(url.href, log)).rejects.toMatchObject({ code: 'Unavailable', retry: true });
  });
});
