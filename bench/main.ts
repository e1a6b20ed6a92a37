import { parseArgs } from 'node:util';
import { pino } from 'pino';
import type { Setting } from './benchmark.ts';
import { benchmarks } from './benchmarks.ts';
import { openBenchDatabase } from './database.ts';
import type { Figure } from './figure.ts';
import { describeMachine, figureJson, machineLine, table } from './report.ts';

const usage = `npm run bench -- [NAME…] [--rounds N] [--seconds N] [--callers N,N,…] [--json]

${Object.entries(benchmarks)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join('\n')}

  --rounds   how often each figure is taken; what is printed is the median (default 5)
  --seconds  how long each subject is measured in a round (default 2)
  --callers  how many callers ask at once, each number by itself (default 1,16,64)
  --json     one object instead of a table
`;

/** Those that run when none is named. */
const unnamed = Object.entries(benchmarks).flatMap(([name, { byNameOnly }]) =>
  byNameOnly === true ? [] : [name],
);

class UsageError extends Error {}

const numberAbove0 = (flag: string, text: string): number => {
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number)))
    throw new UsageError(`${flag}: ${JSON.stringify(text)} is not a number above 0`);
  return number;
};

const countAbove0 = (flag: string, text: string): number => {
  const number = numberAbove0(flag, text);
  if (!Number.isInteger(number)) throw new UsageError(`${flag}: ${text} is not a whole number`);
  return number;
};

/** Undefined when the help was asked for. */
const parseCommandLine = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      callers: { type: 'string', default: '1,16,64' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  for (const name of positionals)
    if (!Object.hasOwn(benchmarks, name))
      throw new UsageError(`there is no benchmark ${JSON.stringify(name)}`);
  return {
    names: positionals.length > 0 ? positionals : unnamed,
    json: values.json,
    rounds: countAbove0('--rounds', values.rounds),
    seconds: numberAbove0('--seconds', values.seconds),
    callerCounts: values.callers.split(',').map((count) => countAbove0('--callers', count)),
  };
};

/** Each benchmark has a database to itself. */
const runOne = async (name: string, setting: Omit<Setting, 'databaseUrl'>) => {
  const database = await openBenchDatabase(setting.log);
  try {
    const figures = (await benchmarks[name]?.run({ ...setting, databaseUrl: database.url })) ?? [];
    return { postgres: database.serverVersion, figures };
  } finally {
    await database.close();
  }
};

const main = async (): Promise<void> => {
  const asked = parseCommandLine();
  if (asked === undefined) {
    process.stdout.write(usage);
    return;
  }
  const { names, json, ...load } = asked;
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());
  const log = pino({ level: 'warn' }, pino.destination(2));
  const machine = describeMachine();
  const figures: Figure[] = [];
  let postgres = '';
  for (const [index, name] of names.entries()) {
    if (!json) process.stderr.write(`${name} (${index + 1} of ${names.length}) …\n`);
    const result = await runOne(name, { ...load, log, signal: interruption.signal });
    if (interruption.signal.aborted) process.exit(130); // half a measurement is none
    postgres = result.postgres;
    figures.push(...result.figures);
  }
  const described = { ...machine, postgres };
  if (json)
    process.stdout.write(
      `${JSON.stringify({ machine: described, ...load, figures: figures.map(figureJson) })}\n`,
    );
  else process.stdout.write(`${machineLine(described)}\n\n${table(figures)}\n`);
};

try {
  await main();
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  if (!isUsage) throw error;
  process.stderr.write(`bench: ${(error as Error).message}\n\n${usage}`);
  process.exitCode = 2;
}
