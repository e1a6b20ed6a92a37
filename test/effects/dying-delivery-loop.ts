import { pino } from 'pino';
import { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import { postgresCarrier } from '../../src/effects/postgres-carrier.ts';
import { redisCarrier } from '../../src/effects/redis-carrier.ts';
import { hostId } from '../../src/kernel/ids.ts';

// A process of its own: takes a delivery, says so, and never answers it. Arguments: URL, host id.
const [url = '', host = ''] = process.argv.slice(2);
const log = pino({ level: 'silent' });
const carrier = url.startsWith('redis') ? await redisCarrier(url, log) : await postgresCarrier(url, log);
await new BullmqEffectQueue(carrier, { log, lockMs: 1_000, stalledCheckMs: 500 }).consume(
  hostId(host),
  1,
  (effectId) => {
    process.stdout.write(`${effectId}\n`);
    return new Promise(() => undefined);
  },
);
