import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import { postgresCarrier, prepareQueueSchema } from '../../src/effects/postgres-carrier.ts';
import { migrate } from '../../src/store/migrate.ts';
import { settleRoles } from '../../src/store/roles.ts';
import { effectQueueContract, type QueueUnderTest } from '../contract/effect-queue.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { dieInDelivery } from '../support/die-in-delivery.ts';
import { createLogin, type TestLogin } from '../support/roles.ts';

const log = pino({ level: 'silent' });

describe('effect queue on Postgres, under the rights of the service', () => {
  let database: TestDatabase;
  let service: TestLogin;
  let subject: QueueUnderTest;

  beforeAll(async () => {
    database = await createDatabase();
    await migrate(database.url);
    await prepareQueueSchema(database.url, log);
    await settleRoles(database.url);
    service = await createLogin(database.url, 'boxledger_service');
    const carrier = await postgresCarrier(service.url, log);
    subject = {
      queue: new BullmqEffectQueue(carrier, { log, stalledCheckMs: 500 }),
      addMalformed: async (hostId) => {
        const queue = carrier.queue(`effects-${hostId}`, {});
        await queue.addBulk([{ name: 'effect', data: { effectId: 'what:ever' } }]);
        await queue.close();
      },
      dieInDelivery: (hostId) => dieInDelivery(service.url, hostId),
    };
  });
  afterAll(async () => {
    await subject.queue.close();
    await service.drop();
    await database.drop();
  });

  effectQueueContract(() => subject);

  test('its tables are in a schema of their own', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query(
      `SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'boxledger')`,
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
