import { Queue, Worker } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { type QueueCarrier, unavailable } from './bullmq-queue.ts';

type Options = Pick<
  RedisOptions,
  'lazyConnect' | 'connectTimeout' | 'maxRetriesPerRequest' | 'enableOfflineQueue'
>;

/** A producer's caller must not wait for a Redis that is gone; the outbox remembers instead. */
const producing: Options = {
  lazyConnect: true,
  connectTimeout: 5_000,
  maxRetriesPerRequest: 1,
  enableOfflineQueue: false,
};
/** A consumer waits for as long as it takes: it has nothing else to do. */
const consuming: Options = { maxRetriesPerRequest: null };

const retryStrategy = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000);

/** BullMQ on Redis (or Valkey), which must run with `maxmemory-policy noeviction`. */
export const redisCarrier = async (url: string, log: Logger): Promise<QueueCarrier> => {
  const clients = new Set<Redis>();
  const connect = (options: Options) => {
    const client = new Redis(url, { ...options, retryStrategy });
    client.on('error', (err) => log.warn({ err }, 'effect queue: Redis'));
    clients.add(client);
    return client;
  };
  const producer = connect(producing);
  try {
    await producer.connect();
  } catch (error) {
    producer.disconnect();
    throw unavailable(error);
  }
  return {
    queue: (name, options) => new Queue(name, { ...options, connection: producer }),
    worker: (name, processor, options) => {
      const connection = connect(consuming);
      const worker = new Worker(name, processor, { ...options, connection });
      worker.on('closed', () => {
        connection.disconnect();
        clients.delete(connection);
      });
      return worker;
    },
    singlesMax: 1,
    close: async () => {
      for (const client of clients) client.disconnect();
    },
  };
};
