import { Consumer } from '../../src/commands/consumer.ts';
import { openStore } from '../../src/store/store.ts';

// Runs a consumer until its standard input ends or it is killed. Prints `got STREAM` for each event that comes, and `done`
// for each batch that has been dealt with; one that is told to `hang` never ends a batch.
const [databaseUrl, name, holder, leaseMs, manner] = process.argv.slice(2);
if (databaseUrl === undefined || name === undefined || holder === undefined)
  throw new Error('usage: consumer-process DATABASE_URL NAME HOLDER LEASE_MS [hang]');
const print = (line: string) => process.stdout.write(`${line}\n`);
const ignore = () => undefined;
const store = await openStore({
  databaseUrl,
  log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
});
const consumer = new Consumer(store.log, store.consumers, {
  name,
  holder,
  leaseMs: Number(leaseMs),
  batchSize: 5,
  onError: (error) => print(`error ${error}`),
  handle: async (events) => {
    for (const { streamId } of events) print(`got ${streamId}`);
    if (manner === 'hang') await new Promise(() => undefined);
    print('done');
  },
});
consumer.start();
print('ready');
process.stdin.resume().once('end', async () => {
  await consumer.stop();
  await store.close();
  print('stopped');
});
