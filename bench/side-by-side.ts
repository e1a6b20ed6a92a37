import { inRounds, type Setting } from './benchmark.ts';
import { type Measurement, measure, type Operation } from './callers.ts';
import { median } from './figure.ts';

/** What is measured side by side on one database, each under its name. */
export type Subjects = ReadonlyMap<string, Operation>;

/** One round: what each subject's parts came to. */
export type Round = ReadonlyMap<string, ReadonlyMap<string, Measurement>>;

/**
 * Within a round the subjects take turns, another one first in each round: what disturbs the machine for a while disturbs
 * all of them, and they are compared within rounds.
 */
export const sideBySide = (
  subjects: Subjects,
  callers: number,
  setting: Setting,
): Promise<readonly Round[]> =>
  inRounds(setting, async (round) => {
    const turns = [...subjects];
    const measured = new Map<string, ReadonlyMap<string, Measurement>>();
    for (const [subject, operation] of [
      ...turns.slice(round % turns.length),
      ...turns.slice(0, round % turns.length),
    ])
      measured.set(subject, await measure({ ...setting, callers, operation }));
    return measured;
  });

/** The measurements of one subject's part, one a round. */
export const seriesOf = (rounds: readonly Round[], subject: string, part: string): readonly Measurement[] =>
  rounds.flatMap((round) => round.get(subject)?.get(part) ?? []);

/** The medians over rounds. */
export const latencyOf = (
  series: readonly Measurement[],
): { readonly p50Ms: number; readonly p99Ms: number } => ({
  p50Ms: median(series.map(({ p50Ms }) => p50Ms)),
  p99Ms: median(series.map(({ p99Ms }) => p99Ms)),
});
