/** What a figure ought to be, where somebody has said it. */
export type Target = { readonly atLeast: number } | { readonly atMost: number };

/** One line of the report. */
export interface Figure {
  /** The name that makes it again: `npm run bench -- NAME`. */
  readonly benchmark: string;
  readonly subject: string;
  /** How many asked at once; null where nobody asks. */
  readonly callers: number | null;
  /** `×`: how many times as much as a peer. */
  readonly unit: '/s' | 'ms' | 's' | '×' | 'bytes';
  /** One value a round, in the order of the rounds. Their median is the figure. */
  readonly rounds: readonly number[];
  /** Medians over the rounds, where single operations were timed. */
  readonly latency?: { readonly p50Ms: number; readonly p99Ms: number };
  readonly target?: Target | undefined;
}

/** NaN of nothing. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2)];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
};

/** Undefined where nothing is asked for. */
export const isMet = ({ rounds, target }: Figure): boolean | undefined => {
  if (target === undefined) return undefined;
  return 'atLeast' in target ? median(rounds) >= target.atLeast : median(rounds) <= target.atMost;
};
