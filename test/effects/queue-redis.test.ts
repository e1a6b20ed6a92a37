import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import { redisCarrier } from '../../src/effects/redis-carrier.ts';
import { boxId, effectIdFor, hostId, version } from '../../src/kernel/ids.ts';
import { effectQueueContract, type QueueUnderTest } from '../contract/effect-queue.ts';
import { dieInDelivery } from '../support/die-in-delivery.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisServer, redisMissing, startRedis } from '../support/redis-server.ts';

const log = pino({ level: 'silent' });
const suite = redisMissing === undefined ? 'effect queue on Redis' : `effect queue on Redis: ${redisMissing}`;

describe.skipIf(redisMissing !== undefined)(suite, () => {
  let server: RedisServer;
  let subject: QueueUnderTest;

  beforeAll(async () => {
    server = await startRedis();
    const carrier = await redisCarrier(server.url, log);
    subject = {
      queue: new BullmqEffectQueue(carrier, { log, stalledCheckMs: 500, enqueueTimeoutMs: 2_000 }),
      addMalformed: async (host) => {
        const queue = carrier.queue(`effects-${host}`, { prefix: `{boxledger-${host}}` });
        await queue.addBulk([{ name: 'effect', data: { effectId: 'what:ever' } }]);
        await queue.close();
      },
      dieInDelivery: (host) => dieInDelivery(server.url, host),
    };
  });
  afterAll(async () => {
    await subject.queue.close();
    await server.stop();
  });

  effectQueueContract(() => subject);

  const host = hostId('hs_0000000000f1a5h0');
  const effect = effectIdFor(boxId('bx_0000000000f1a5h0'), version(1), 'vm.boot');
  const due = { effectId: effect, hostId: host, delayMs: 0 };

  test('after FLUSHALL, what is enqueued again is delivered to the consumer that was waiting', async () => {
    const seen: string[] = [];
    const admin = new Redis(server.url);
    await subject.queue.enqueue([{ ...due, delayMs: 600_000 }]);
    const consumer = await subject.queue.consume(host, 1, async (effectId) => {
      seen.push(effectId);
      return { kind: 'done' };
    });
    await admin.flushall();
    await subject.queue.enqueue([due]);
    await eventually('the effect arrives', () => seen.length === 1);
    await consumer.close(1_000);
    await admin.quit();
  });

  test('a Redis that may evict jobs is warned of in the log, and nowhere else', async () => {
    const admin = new Redis(server.url);
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const printed = vi.spyOn(console, 'warn');
    const lines: string[] = [];
    const heard = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    const queue = new BullmqEffectQueue(await redisCarrier(server.url, heard), { log: heard });
    const consumer = await queue.consume(hostId('hs_0000000000ev1ct0'), 1, async () => ({ kind: 'done' }));
    await consumer.close(1_000);
    await queue.close();
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ policy: 'allkeys-lru' }]);
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    await admin.quit();
  });

  test('while Redis is gone enqueueing is Unavailable at once; when it is back, it goes on', async () => {
    const seen: string[] = [];
    const port = Number(new URL(server.url).port);
    const consumer = await subject.queue.consume(host, 1, async (effectId) => {
      seen.push(effectId);
      return { kind: 'done' };
    });
    await server.stop();
    await expect(subject.queue.enqueue([due])).rejects.toMatchObject({ code: 'Unavailable' });
    server = await startRedis(port);
    await eventually('the queue takes effects again', () =>
      subject.queue.enqueue([due]).then(
        () => true,
        () => false,
      ),
    );
    await eventually('the effect arrives', () => seen.length === 1);
    await consumer.close(1_000);
  });
});
