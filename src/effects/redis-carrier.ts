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
/** A delivery loop waits for as long as it takes: it has nothing else to do. */
const consuming: Options = { maxRetriesPerRequest: null };

const retryStrategy = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000);

/** BullMQ on Redis (or Valkey), which must run with `maxmemory-policy noeviction`. */
export const redisCarrier = async (url: string, log: Logger): Promise<QueueCarrier> => {
  const clients = new Set<Redis>();
  const connect = (options: Options) => {
    const client = withoutPolicy(new Redis(url, { ...options, retryStrategy }));
    client.on('error', (err) => log.warn({ err }, 'effect queue: Redis'));
    clients.add(client);
    return client;
  };
  const producer = connect(producing);
  try {
    await producer.connect();
    warnOfEviction(await memoryOf(producer), log);
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

/** Lines of `INFO memory`, by name. */
const memoryOf = async (client: Redis): Promise<ReadonlyMap<string, string>> => {
  const lines = (await client.call('INFO', 'memory')) as string; // what INFO answers in RESP2 and RESP3
  return new Map(
    lines.split(/\r?\n/).map((line) => [line.split(':', 1)[0] ?? '', line.replace(/^[^:]*:/, '')]),
  );
};

const warnOfEviction = (memory: ReadonlyMap<string, string>, log: Logger): void => {
  const [policy, maxMemory] = [memory.get('maxmemory_policy'), memory.get('maxmemory_human')];
  if (policy === undefined || policy === 'noeviction') return;
  log.warn(
    { policy, maxMemory },
    'effect queue: this Redis may evict jobs when its memory is full. Nothing is lost, since the outbox enqueues again what has had no outcome, but late: set maxmemory-policy to noeviction',
  );
};

/** BullMQ prints, on each of its connections, what it thinks of the policy. That is ours to say, so it does not see it. */
const withoutPolicy = (client: Redis): Redis => {
  const [info, duplicate] = [client.info.bind(client), client.duplicate.bind(client)];
  const seen = async () => (await info()).replace(/^maxmemory_policy:.*$/m, '');
  return Object.assign(client, {
    // With a callback it is the client itself that asks, whether Redis is ready.
    info: (callback?: Parameters<typeof client.info>[0]) =>
      callback === undefined ? seen() : info(callback),
    duplicate: (...args: Parameters<typeof duplicate>) => withoutPolicy(duplicate(...args)),
  });
};
