import type { Benchmark } from './benchmark.ts';
import { prepareBoxLife } from './box-life.ts';
import { whole } from './callers.ts';
import type { Figure } from './figure.ts';
import { latencyOf, type Round, seriesOf, sideBySide } from './side-by-side.ts';
import { openSimPlane } from './sim-plane.ts';

/** A life takes far longer than a command, so its rounds are longer. */
const longer = 2;

/** The whole control plane with simulated boxes. */
export const benchLifecycle: Benchmark = async (setting) => {
  const plane = await openSimPlane(setting.databaseUrl, process.env['REDIS_URL'], setting.log);
  const subject = `boxes' lives, queue on ${plane.queue}`;
  const subjects = new Map([[subject, prepareBoxLife(plane)]]);
  const figures: Figure[] = [];
  for (const callers of setting.callerCounts) {
    const rounds = await sideBySide(subjects, callers, { ...setting, seconds: setting.seconds * longer });
    figures.push(...figuresOf(rounds, subject, callers));
  }
  await plane.close();
  return figures;
};

const figuresOf = (rounds: readonly Round[], subject: string, callers: number): readonly Figure[] => {
  const [first] = rounds;
  return [...(first?.get(subject)?.keys() ?? [])].map((part): Figure => {
    const series = seriesOf(rounds, subject, part);
    const common = { benchmark: 'lifecycle', callers, latency: latencyOf(series) };
    return part === whole
      ? { ...common, subject, unit: '/s', rounds: series.map(({ perSecond }) => perSecond) }
      : { ...common, subject: `  ${part}, p50`, unit: 'ms', rounds: series.map(({ p50Ms }) => p50Ms) };
  });
};
