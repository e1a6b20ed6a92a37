import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { BoxledgerError, type Fault, invalidArgument } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import { defaultDataDir } from '../sdk/discover.ts';
import { type FileSettings, type Given, gather } from './settings.ts';

const text = z.string('must be text');

const address = text.transform((given, context) => {
  const [, ipv6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/\s[\]]+)):(\d{1,5})$/.exec(given) ?? [];
  const host = ipv6 ?? name;
  const port = Number(digits);
  if (host !== undefined && port <= 65_535) return { host, port };
  context.addIssue({ code: 'custom', message: `must be HOST:PORT, not ${JSON.stringify(given)}` });
  return z.NEVER;
});

const url = (...schemes: readonly string[]) =>
  text.refine(
    (given) => URL.canParse(given) && schemes.includes(new URL(given).protocol),
    `must be a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
  );

const choice = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, {
    error: ({ input }) => `must be one of ${values.join(', ')}, not ${JSON.stringify(input)}`,
  });

const days = z
  .union([z.string(), z.number()], 'must be a number of days')
  .transform(Number)
  .refine(
    (number) => Number.isInteger(number) && number >= 1 && number <= 36_500,
    'must be a whole number of days, 1 to 36500',
  );

const path = text.min(1, 'must not be empty');

const wholeNumber = (min: number, max: number) => {
  const problem = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number(problem).int(problem).min(min, problem).max(max, problem);
};

const serveOptionsSchema = z.strictObject({
  /** Port 0: one that is free. */
  listen: address.default({ host: '127.0.0.1', port: 7433 }),
  /** Absolute. */
  dataDir: path,
  /** Unset: a Postgres of the server's own under the data dir. */
  databaseUrl: url('postgres:', 'postgresql:').optional(),
  /** Unset: the queue is in Postgres. */
  redisUrl: url('redis:', 'rediss:').optional(),
  driver: choice(['process', 'qemu', 'sim']).default('process'),
  isolation: choice(['auto', 'strict', 'bwrap', 'unshare', 'plain']).default('auto'),
  /** What runs the instructions of a machine. */
  accelerator: choice(['auto', 'kvm', 'tcg']).default('auto'),
  /** Of machines, how many at most stand ready to become a box. */
  readyMachines: wholeNumber(0, 64).default(1),
  /** Absolute. File with the bearer token that callers must show. */
  tokenFile: path.optional(),
  /** Where Prometheus may scrape; unset: nowhere. */
  metricsAddress: address.optional(),
  /** Absolute. File with the bearer token that a scrape must show. */
  metricsTokenFile: path.optional(),
  /** How long a command's answer is kept, and with it the promise that the same id is not carried out twice. */
  keepCommandsDays: days.default(30),
  /** How long effects that are over are kept. */
  keepEffectsDays: days.default(7),
  /** About so many events are in one partition of the log, which leaves the database as a whole. */
  partitionEvents: wholeNumber(1_000, 1_000_000_000).default(limits.partitionEvents),
  /** A checkpoint is made once so many events are not signed, and after so long when there are any. */
  checkpointEveryEvents: wholeNumber(1, 1_000_000).default(10_000),
  checkpointEveryMs: wholeNumber(50, 86_400_000).default(60_000),
  /** Absolute. Unset: a file in the data dir. Made when it is not there. */
  checkpointKeyFile: path.optional(),
  /** Directories (absolute) and http(s) URLs that get every checkpoint. */
  checkpointSinks: z.array(z.union([path, url('http:', 'https:')])).default([]),
  logLevel: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

type Setting = keyof typeof serveOptionsSchema.shape;
export type ServeOptions = z.infer<typeof serveOptionsSchema> & {
  /** The key itself in PEM, from the environment: then there is no file. */
  readonly checkpointKey?: string;
  readonly json: boolean;
};

/** Options as they are given on the command line. */
export interface ServeFlags {
  readonly listen?: string;
  readonly dataDir?: string;
  readonly databaseUrl?: string;
  readonly redisUrl?: string;
  readonly driver?: string;
  readonly isolation?: string;
  readonly accelerator?: string;
  readonly readyMachines?: string;
  readonly tokenFile?: string;
  readonly metricsAddress?: string;
  readonly metricsTokenFile?: string;
  readonly keepCommandsDays?: string;
  readonly keepEffectsDays?: string;
  readonly partitionEvents?: string;
  readonly checkpointEveryEvents?: string;
  readonly checkpointEveryMs?: string;
  readonly checkpointKeyFile?: string;
  /** Separated by commas. */
  readonly checkpointSinks?: string;
  readonly logLevel?: string;
  readonly config?: string;
  readonly json?: boolean;
}

const environmentNames = {
  listen: 'BOXLEDGER_LISTEN',
  dataDir: 'BOXLEDGER_DATA_DIR',
  databaseUrl: 'DATABASE_URL',
  redisUrl: 'REDIS_URL',
  driver: 'BOXLEDGER_DRIVER',
  isolation: 'BOXLEDGER_ISOLATION',
  accelerator: 'BOXLEDGER_ACCELERATOR',
  readyMachines: 'BOXLEDGER_READY_MACHINES',
  tokenFile: 'BOXLEDGER_TOKEN_FILE',
  metricsAddress: 'BOXLEDGER_METRICS_ADDRESS',
  metricsTokenFile: 'BOXLEDGER_METRICS_TOKEN_FILE',
  keepCommandsDays: 'BOXLEDGER_KEEP_COMMANDS_DAYS',
  keepEffectsDays: 'BOXLEDGER_KEEP_EFFECTS_DAYS',
  partitionEvents: 'BOXLEDGER_PARTITION_EVENTS',
  checkpointEveryEvents: 'BOXLEDGER_CHECKPOINT_EVERY_EVENTS',
  checkpointEveryMs: 'BOXLEDGER_CHECKPOINT_EVERY_MS',
  checkpointKeyFile: 'BOXLEDGER_CHECKPOINT_KEY_FILE',
  checkpointSinks: 'BOXLEDGER_CHECKPOINT_SINKS',
  logLevel: 'BOXLEDGER_LOG_LEVEL',
} as const satisfies Record<Setting, string>;

const flagNames = {
  listen: '--listen',
  dataDir: '--data-dir',
  databaseUrl: '--database-url',
  redisUrl: '--redis-url',
  driver: '--driver',
  isolation: '--isolation',
  accelerator: '--accelerator',
  readyMachines: '--ready-machines',
  tokenFile: '--token-file',
  metricsAddress: '--metrics-address',
  metricsTokenFile: '--metrics-token-file',
  keepCommandsDays: '--keep-commands-days',
  keepEffectsDays: '--keep-effects-days',
  partitionEvents: '--partition-events',
  checkpointEveryEvents: '--checkpoint-every-events',
  checkpointEveryMs: '--checkpoint-every-ms',
  checkpointKeyFile: '--checkpoint-key-file',
  checkpointSinks: '--checkpoint-sinks',
  logLevel: '--log-level',
} as const satisfies Record<Setting, string>;

/**
 * What a server is to be: flags win over the environment, and both over the file. Paths from the file are relative to
 * its directory. Throws `InvalidArgument` with every fault, each under the name that the value came by.
 */
export const parseServeOptions = async (
  flags: ServeFlags,
  env: NodeJS.ProcessEnv,
  workingDir: string,
): Promise<ServeOptions> => {
  const configPath = flags.config ?? (env['BOXLEDGER_CONFIG'] || undefined);
  const file = configPath === undefined ? undefined : await readSettings(resolve(workingDir, configPath));
  const { values, originOf } = gather<Setting>({ flags, flagNames, env, environmentNames, file });
  const absolute = ({ value, directory }: Given) => resolve(directory ?? workingDir, String(value));
  const paths = (key: Setting) => {
    const given = values.get(key);
    return given === undefined ? {} : { [key]: absolute(given) };
  };
  const parsed = serveOptionsSchema.safeParse({
    ...Object.fromEntries([...values].map(([key, { value }]) => [key, value])),
    dataDir: absolute(values.get('dataDir') ?? { value: defaultDataDir, directory: undefined }),
    ...paths('tokenFile'),
    ...paths('metricsTokenFile'),
    ...paths('checkpointKeyFile'),
    ...sinks(values.get('checkpointSinks'), absolute),
  });
  const faults = parsed.error?.issues.flatMap((issue) => faultsOf(issue, originOf)) ?? [];
  if (parsed.success) faults.push(...openDoors(parsed.data, originOf));
  if (!parsed.success || faults.length > 0)
    throw BoxledgerError.fromRefusal({
      ...invalidArgument(faults),
      help: 'See `boxledger serve --help`; nothing was started.',
    });
  const checkpointKey = env['BOXLEDGER_CHECKPOINT_KEY'] || undefined;
  return {
    ...parsed.data,
    ...(checkpointKey === undefined ? {} : { checkpointKey }),
    json: flags.json === true,
  };
};

/** Addresses that others can reach without showing a token. */
const openDoors = (
  { listen, tokenFile, metricsAddress, metricsTokenFile }: z.infer<typeof serveOptionsSchema>,
  originOf: (key: Setting) => string,
): Fault[] => {
  const fault = (key: Setting, token: Setting) => ({
    field: originOf(key),
    problem: `only an address of this machine, such as 127.0.0.1, can be served without ${flagNames[token]}`,
  });
  const faults: Fault[] = [];
  if (!isLoopback(listen.host) && tokenFile === undefined) faults.push(fault('listen', 'tokenFile'));
  if (metricsAddress !== undefined && !isLoopback(metricsAddress.host) && metricsTokenFile === undefined)
    faults.push(fault('metricsAddress', 'metricsTokenFile'));
  return faults;
};

/** What is no URL is a directory. */
const sinks = (given: Given | undefined, absolute: (given: Given) => string) =>
  given === undefined
    ? {}
    : {
        checkpointSinks: String(given.value)
          .split(',')
          .map((sink) => sink.trim())
          .filter((sink) => sink !== '')
          .map((sink) => (/^https?:/.test(sink) ? sink : absolute({ ...given, value: sink }))),
      };

const faultsOf = (issue: z.core.$ZodIssue, originOf: (key: string) => string): Fault[] =>
  issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => ({ field: originOf(key), problem: 'is not known' }))
    : [{ field: originOf(String(issue.path[0])), problem: issue.message }];

/** 127.0.0.0/8, ::1 and the name that stands for them. */
const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);

const readSettings = async (file: string): Promise<FileSettings> => {
  const fault = (problem: string, cause?: unknown) =>
    new BoxledgerError('InvalidArgument', `configuration file ${file}: ${problem}`, {
      help: 'Give a JSON object such as {"listen":"127.0.0.1:7433"}.',
      faults: [{ field: '--config', problem }],
      cause,
    });
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw fault(`cannot be read (${cause.code})`, cause);
  });
  try {
    const settings = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    return { file, directory: dirname(file), settings };
  } catch (cause) {
    throw fault('is not a JSON object', cause);
  }
};
