import type { Logger } from 'pino';
import type { Figure } from './figure.ts';

export interface Setting {
  /** Of an empty database that nobody else uses. */
  readonly databaseUrl: string;
  readonly log: Logger;
  /** How long one subject is measured in one round. */
  readonly seconds: number;
  readonly rounds: number;
  /** How many callers ask at once: each number is measured by itself. */
  readonly callerCounts: readonly number[];
  /** Aborting ends the benchmark before its time; its figures are not worth anything then. */
  readonly signal: AbortSignal;
}

export type Benchmark = (setting: Setting) => Promise<readonly Figure[]>;

/** Runs `measureOne` once a round, until enough or aborted. */
export const inRounds = async <Result>(
  { rounds, signal }: Pick<Setting, 'rounds' | 'signal'>,
  measureOne: (round: number) => Promise<Result>,
): Promise<readonly Result[]> => {
  const results: Result[] = [];
  while (results.length < rounds && !signal.aborted) results.push(await measureOne(results.length));
  return results;
};
