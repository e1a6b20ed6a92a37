import { StreamStates } from '../src/commands/stream-states.ts';
import type { StreamId } from '../src/kernel/ids.ts';
import { folding } from '../src/main/folds.ts';
import { openStore } from '../src/store/store.ts';
import { type Benchmark, inRounds } from './benchmark.ts';
import { type Measurement, summary } from './callers.ts';
import type { Figure } from './figure.ts';
import { appendLongBox } from './long-box.ts';
import { latencyOf } from './side-by-side.ts';

const lengths = [10, 1_000, 100_000];
const loadsEach = 2_000;
const p99MaxMs = 2;
/** What counts as flat: the longest box to the shortest. */
const growthMax = 1.5;

/** What the door does before it decides on a box that it does not have in memory: its head read, its state restored. */
export const benchHeadLoad: Benchmark = async (setting) => {
  const store = await openStore(setting);
  await store.migrate();
  const streams: StreamId[] = [];
  for (const length of lengths) streams.push(await appendLongBox(store, length));
  await store.rebuild(folding);
  await store.pool.query('VACUUM ANALYZE');
  const states = new StreamStates(store.events, store.log, lengths.length);
  for (const streamId of streams) await loadMany(states, streamId); // the first are slow: code is compiled
  const rounds = await inRounds(setting, async () => {
    const measured: Measurement[] = [];
    for (const streamId of streams) measured.push(await loadMany(states, streamId));
    return measured;
  });
  await store.close();
  return [
    ...lengths.map((length, index): Figure => {
      const series = rounds.flatMap((measured) => measured[index] ?? []);
      return {
        benchmark: 'load',
        subject: `p99 of a box of ${length.toLocaleString('en').replaceAll(',', ' ')} events`,
        callers: 1,
        unit: 'ms',
        rounds: series.map(({ p99Ms }) => p99Ms),
        latency: latencyOf(series),
        target: { atMost: p99MaxMs },
      };
    }),
    {
      benchmark: 'load',
      subject: '  p50 of the longest to the shortest',
      callers: 1,
      unit: '×',
      rounds: rounds.map(
        (measured) => (measured.at(-1)?.p50Ms ?? Number.NaN) / (measured[0]?.p50Ms ?? Number.NaN),
      ),
      target: { atMost: growthMax },
    },
  ];
};

const loadMany = async (states: StreamStates, streamId: StreamId): Promise<Measurement> => {
  const latenciesMs: number[] = [];
  const began = performance.now();
  for (let load = 0; load < loadsEach; load += 1) {
    const asked = performance.now();
    await states.load(streamId);
    latenciesMs.push(performance.now() - asked);
  }
  return summary(latenciesMs, (performance.now() - began) / 1000);
};
