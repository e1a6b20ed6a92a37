import { StreamStates } from '../src/commands/stream-states.ts';
import { version } from '../src/kernel/ids.ts';
import { openStore } from '../src/store/store.ts';
import { type Benchmark, inRounds } from './benchmark.ts';
import { appendLongBox } from './long-box.ts';

const length = 100_000;
const maxS = 5;

/** What a box costs whose head was made by another version's statechart: every event read, parsed and taken. */
export const benchFold: Benchmark = async (setting) => {
  const store = await openStore(setting);
  await store.migrate();
  const streamId = await appendLongBox(store, length);
  await store.pool.query('VACUUM ANALYZE');
  const states = new StreamStates(store.events, store.log, 1);
  const seconds = await inRounds(setting, async () => {
    const began = performance.now();
    await states.foldTo(streamId, version(length));
    return (performance.now() - began) / 1000;
  });
  await store.close();
  return [
    {
      benchmark: 'fold',
      subject: 'a box of 100 000 events',
      callers: 1,
      unit: 's',
      rounds: seconds,
      target: { atMost: maxS },
    },
    {
      benchmark: 'fold',
      subject: '  events',
      callers: 1,
      unit: '/s',
      rounds: seconds.map((s) => length / s),
    },
  ];
};
