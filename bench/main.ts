import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { openStore } from '../src/store/store.ts';
import type { StoreLog } from '../src/store/store-log.ts';
import { prepareAppend, prepareCommands } from './append.ts';
import { openBenchDatabase } from './database.ts';
import { prepareLifecycle } from './lifecycle.ts';
import { measure, type Operation, whole } from './load.ts';
import { preparePlainInsert } from './plain-insert.ts';
import { describeMachine, machineLine, type Row, table } from './report.ts';
import { openSimPlane } from './sim-plane.ts';
import { measureSize, type Size, sizeLine } from './size.ts';
import { benchVerify } from './verify.ts';

const usage = `npm run bench -- [append] [lifecycle] [verify] [size] [--seconds N] [--callers N,N,…] [--json]

  append     a command through the door and its append alone, with all that commits with it, and a plain INSERT
  lifecycle  a box created, started until it runs and stopped, with simulated boxes (queue on REDIS_URL if set)
  verify     a log of 100 000 events read back and proved, in events a second (p50 ms, p99 ms: a whole pass)
  size       what an event takes on disk with all indexes, after boxes have lived their lives
  --seconds  how long each row is measured (default 5)
  --callers  how many callers ask at once, one row for each (default 1,16,64)
  --json     one object instead of a table
`;

const log = pino({ level: 'warn' }, pino.destination(2));

/** What is measured side by side on one database, each under its name. */
type Subjects = ReadonlyMap<string, Operation>;

/** Opens what a benchmark needs on an empty database. */
type Benchmark = (databaseUrl: string) => Promise<{ subjects: Subjects; close(): Promise<void> }>;

const append: Benchmark = async (databaseUrl) => {
  const store = await openStore({ databaseUrl, log });
  await store.migrate();
  return {
    subjects: new Map([
      ['boxledger command', prepareCommands(store)],
      ['boxledger append', prepareAppend(store.events)],
      ['plain INSERT', await preparePlainInsert(store.pool)],
    ]),
    close: () => store.close(),
  };
};

const lifecycle: Benchmark = async (databaseUrl) => {
  const plane = await openSimPlane(databaseUrl, process.env['REDIS_URL'], log);
  return {
    subjects: new Map([[`box's life, queue on ${plane.queue}`, prepareLifecycle(plane)]]),
    close: () => plane.close(),
  };
};

const benchmarks: Readonly<Record<string, Benchmark>> = { append, lifecycle };

/** What is measured by passes over a log and not by callers. */
const passes: Readonly<Record<string, (databaseUrl: string, log: StoreLog) => Promise<readonly Row[]>>> = {
  verify: benchVerify,
};

const runPass = async (name: string) => {
  const database = await openBenchDatabase(log);
  try {
    const rows = (await passes[name]?.(database.url, log)) ?? [];
    return { postgres: database.serverVersion, rows };
  } finally {
    await database.close();
  }
};

const run = async (name: string, seconds: number, callerCounts: readonly number[], signal: AbortSignal) => {
  const benchmark = benchmarks[name];
  if (benchmark === undefined) throw new UsageError(`there is no benchmark ${JSON.stringify(name)}`);
  const database = await openBenchDatabase(log);
  try {
    const { subjects, close } = await benchmark(database.url);
    const rows: Row[] = [];
    for (const callers of callerCounts)
      for (const [subject, operation] of subjects)
        for (const [part, measurement] of await measure({ callers, seconds, operation, signal }))
          rows.push({
            benchmark: name,
            subject: part === whole ? subject : `  ${part}`,
            callers,
            ...measurement,
          });
    await close();
    return { postgres: database.serverVersion, rows };
  } finally {
    await database.close();
  }
};

const weighLog = async (): Promise<{ postgres: string; size: Size }> => {
  const database = await openBenchDatabase(log);
  try {
    return { postgres: database.serverVersion, size: await measureSize(database.url, log) };
  } finally {
    await database.close();
  }
};

class UsageError extends Error {}

const positiveNumber = (flag: string, text: string): number => {
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number)))
    throw new UsageError(`${flag}: ${JSON.stringify(text)} is not a number above 0`);
  return number;
};

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '5' },
      callers: { type: 'string', default: '1,16,64' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const seconds = positiveNumber('--seconds', values.seconds);
  const callerCounts = values.callers.split(',').map((count) => positiveNumber('--callers', count));
  const names = positionals.length > 0 ? positionals : [...Object.keys({ ...benchmarks, ...passes }), 'size'];
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());
  const rows: Row[] = [];
  let postgres = '';
  let size: Size | undefined;
  for (const name of names) {
    if (name === 'size') {
      ({ postgres, size } = await weighLog());
      continue;
    }
    const result =
      name in passes ? await runPass(name) : await run(name, seconds, callerCounts, interruption.signal);
    postgres = result.postgres;
    rows.push(...result.rows);
    if (interruption.signal.aborted) process.exit(130); // half a measurement is none
  }
  const machine = describeMachine(postgres);
  if (values.json) process.stdout.write(`${JSON.stringify({ machine, seconds, rows, size })}\n`);
  else {
    process.stdout.write(`${machineLine(machine)}\n\n`);
    if (rows.length > 0) process.stdout.write(`${table(rows)}\n`);
    if (size !== undefined) process.stdout.write(`${sizeLine(size)}\n`);
  }
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
