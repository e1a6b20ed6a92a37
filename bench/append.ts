import { assert } from '../src/kernel/assert.ts';
import { openStore } from '../src/store/store.ts';
import { type Benchmark, inRounds, type Setting } from './benchmark.ts';
import { type Measurement, type Operation, whole } from './callers.ts';
import { prepareEmmett } from './emmett.ts';
import { type Figure, median, type Target } from './figure.ts';
import { prepareAppend, prepareCommands } from './own-appends.ts';
import { pace } from './paced.ts';
import { preparePlainInsert } from './plain-insert.ts';
import { latencyOf, type Round, seriesOf, sideBySide } from './side-by-side.ts';

/** The subject that the peers are measured against: a command decided and committed. */
const own = 'boxledger command';
/** The part of it that the peers do, with all that commits with it; nothing is decided. */
const ownAppend = 'boxledger append alone';
const insert = 'plain INSERT';
const emmett = 'Emmett';

/** How many times as fast as a peer, by the number of callers. */
const targets: Readonly<Record<string, Readonly<Record<number, Target>>>> = {
  [insert]: { 64: { atLeast: 1.5 } },
  [emmett]: { 1: { atLeast: 1 }, 64: { atLeast: 6 } },
};
const halfLoadP99: Target = { atMost: 20 };

/** Commands made durable, ours, and appends of the peers, on one database and through pools of one size. */
export const benchAppend: Benchmark = async (setting) => {
  const store = await openStore(setting);
  await store.migrate();
  const command = prepareCommands(store);
  const subjects = new Map([
    [own, command],
    [ownAppend, prepareAppend(store.events)],
    [emmett, await prepareEmmett(setting.databaseUrl, store.pool)],
    [insert, await preparePlainInsert(store.pool)],
  ]);
  const figures: Figure[] = [];
  let most: readonly Round[] = [];
  for (const callers of setting.callerCounts) {
    most = await sideBySide(subjects, callers, setting);
    figures.push(...throughput(most, callers), ...ratios(most, callers));
  }
  figures.push(await atHalfLoad(command, seriesOf(most, own, whole), setting));
  await store.close();
  return figures;
};

const throughput = (rounds: readonly Round[], callers: number): readonly Figure[] =>
  [own, ownAppend, emmett, insert].map((subject): Figure => {
    const series = seriesOf(rounds, subject, whole);
    return {
      benchmark: 'append',
      subject,
      callers,
      unit: '/s',
      rounds: series.map(({ perSecond }) => perSecond),
      latency: latencyOf(series),
    };
  });

const ratios = (rounds: readonly Round[], callers: number): readonly Figure[] =>
  [emmett, insert].map(
    (peer): Figure => ({
      benchmark: 'append',
      subject: `  command to ${peer}`,
      callers,
      unit: '×',
      rounds: rounds.map((round) => rateIn(round, own) / rateIn(round, peer)),
      target: targets[peer]?.[callers],
    }),
  );

const rateIn = (round: Round, subject: string): number =>
  round.get(subject)?.get(whole)?.perSecond ?? Number.NaN;

/** What a command takes when the callers ask for half of what they could get. */
const atHalfLoad = async (
  operation: Operation,
  fullLoad: readonly Measurement[],
  setting: Setting,
): Promise<Figure> => {
  const callers = setting.callerCounts.at(-1);
  assert(callers !== undefined, 'somebody asks');
  const perSecond = median(fullLoad.map((measurement) => measurement.perSecond)) / 2;
  const series = await inRounds(setting, () => pace({ ...setting, callers, perSecond, operation }));
  return {
    benchmark: 'append',
    subject: `command, p99 at half load, ${perSecond.toFixed(0)} /s`,
    callers,
    unit: 'ms',
    rounds: series.map(({ p99Ms }) => p99Ms),
    latency: latencyOf(series),
    target: halfLoadP99,
  };
};
