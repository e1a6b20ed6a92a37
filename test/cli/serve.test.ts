import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServeOptions } from '../../src/cli/serve-options.ts';
import { parseServeOptions } from '../../src/cli/serve-options.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { cli, jsonLines, startCli } from './in-process.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'boxledger-serve-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const faultsOf = async (...given: Parameters<typeof parseServeOptions>): Promise<readonly string[]> => {
  const error: unknown = await parseServeOptions(...given).catch((reason: unknown) => reason);
  return error instanceof BoxledgerError ? error.faults.map(({ field }) => field) : [];
};

test('without anything said a server listens on loopback and keeps its data in .boxledger', async () => {
  expect(await parseServeOptions({}, {}, '/home/ann')).toEqual({
    listen: { host: '127.0.0.1', port: 7433 },
    dataDir: '/home/ann/.boxledger',
    driver: 'process',
    isolation: 'auto',
    accelerator: 'auto',
    readyMachines: 1,
    keepCommandsDays: 30,
    keepEffectsDays: 7,
    partitionEvents: 1_000_000,
    checkpointEveryEvents: 10_000,
    checkpointEveryMs: 60_000,
    checkpointSinks: [],
    logLevel: 'info',
    json: false,
  });
});

test('flags win over the environment, and both over the file, whose paths are its own directory’s', async () => {
  const config = join(directory, 'boxledger.json');
  await writeFile(
    config,
    JSON.stringify({
      dataDir: 'data',
      tokenFile: 'token',
      driver: 'sim',
      logLevel: 'warn',
      listen: '[::1]:1',
      keepEffectsDays: 3,
    }),
  );
  const env = {
    BOXLEDGER_CONFIG: config,
    BOXLEDGER_LOG_LEVEL: 'error',
    BOXLEDGER_LISTEN: '127.0.0.1:2',
    DATABASE_URL: 'postgres://db/boxledger',
    REDIS_URL: '',
    BOXLEDGER_KEEP_COMMANDS_DAYS: '90',
  };
  expect(await parseServeOptions({ listen: 'localhost:3', json: true }, env, '/')).toEqual({
    listen: { host: 'localhost', port: 3 },
    dataDir: join(directory, 'data'),
    databaseUrl: 'postgres://db/boxledger',
    driver: 'sim',
    isolation: 'auto',
    accelerator: 'auto',
    readyMachines: 1,
    keepCommandsDays: 90,
    keepEffectsDays: 3,
    partitionEvents: 1_000_000,
    checkpointEveryEvents: 10_000,
    checkpointEveryMs: 60_000,
    checkpointSinks: [],
    tokenFile: join(directory, 'token'),
    logLevel: 'error',
    json: true,
  });
  expect((await parseServeOptions({ config }, {}, '/')).listen).toEqual({ host: '::1', port: 1 });
});

test('every fault is named by the name that its value came under', async () => {
  const config = join(directory, 'boxledger.json');
  await writeFile(config, JSON.stringify({ isolation: 7, colour: 'red', keepEffectsDays: null }));
  const env = {
    DATABASE_URL: 'mysql://x',
    REDIS_URL: 'nonsense',
    BOXLEDGER_DRIVER: 'docker',
    BOXLEDGER_KEEP_COMMANDS_DAYS: '1.5',
  };
  expect([...(await faultsOf({ config, listen: '127.0.0.1:99999' }, env, '/'))].sort()).toEqual([
    '--listen',
    'BOXLEDGER_DRIVER',
    'BOXLEDGER_KEEP_COMMANDS_DAYS',
    'DATABASE_URL',
    'REDIS_URL',
    `colour in ${config}`,
    `isolation in ${config}`,
    `keepEffectsDays in ${config}`,
  ]);
});

test.each(['', '[]', '{'])('a configuration file that holds %j is refused', async (text) => {
  const config = join(directory, 'boxledger.json');
  await writeFile(config, text);
  expect(await faultsOf({ config }, {}, '/')).toEqual(['--config']);
});

test('a configuration file that is not there is refused', async () => {
  expect(await faultsOf({ config: 'none.json' }, {}, directory)).toEqual(['--config']);
});

test.each(['0.0.0.0:7433', '[::]:7433', '10.0.0.1:7433', 'example.org:7433', '127.evil.org:7433'])(
  'to listen on %s needs a token',
  async (listen) => {
    expect(await faultsOf({ listen }, {}, '/')).toEqual(['--listen']);
    expect(await faultsOf({ listen, tokenFile: '/token' }, {}, '/')).toEqual([]);
  },
);

test('metrics are for this machine only, unless a scrape has to show a token', async () => {
  expect(await faultsOf({ metricsAddress: '127.0.0.1:0' }, {}, '/')).toEqual([]);
  const env = { BOXLEDGER_METRICS_ADDRESS: '0.0.0.0:9464' };
  expect(await faultsOf({ tokenFile: '/token' }, env, '/')).toEqual(['BOXLEDGER_METRICS_ADDRESS']);
  expect(await faultsOf({ metricsTokenFile: '/token' }, env, '/')).toEqual([]);
  expect(await faultsOf({ metricsAddress: 'here' }, {}, '/')).toEqual(['--metrics-address']);
});

const serving = (argv: readonly string[]) => {
  let options: ServeOptions | undefined;
  const command = startCli(['serve', ...argv], {
    workingDir: directory,
    server: {
      serve: async (given, signal, ready) => {
        options = given;
        ready({ grpc: '127.0.0.1:40000', dataDir: given.dataDir });
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
  });
  return { command, options: () => options };
};

test('serve says in one JSON line where it serves, and ends in good order at Ctrl-C', async () => {
  const { command, options } = serving(['--json', '--listen', '127.0.0.1:0', '--driver', 'sim']);
  await command.shown('\n');
  command.signal('SIGINT');
  expect(command.handlers()).toBe(0); // the next one would end the process at once
  const { code, stdout } = await command.done;
  expect(code).toBe(0);
  expect(jsonLines(stdout)).toEqual([
    { ready: true, grpc: '127.0.0.1:40000', dataDir: join(directory, '.boxledger') },
  ]);
  expect(options()).toMatchObject({ listen: { port: 0 }, driver: 'sim', json: true });
});

test('serve tells a person where it serves', async () => {
  const { command } = serving([]);
  await command.shown('127.0.0.1:40000');
  command.signal('SIGTERM');
  expect((await command.done).code).toBe(0);
});

test('a server that cannot start says why and exits 125', async () => {
  const serve = () =>
    Promise.reject(new BoxledgerError('Conflict', 'another server uses this data dir', { help: 'Stop it.' }));
  expect(await cli(['serve'], { server: { serve }, workingDir: directory })).toEqual({
    code: 125,
    stdout: '',
    stderr: 'boxledger: another server uses this data dir\nStop it.\n',
  });
});

test('migrate names what it applied', async () => {
  const around = { server: { migrate: async () => ['0001-log', '0002-boxes'] }, workingDir: directory };
  expect((await cli(['migrate'], around)).stdout).toBe('applied 0001-log\napplied 0002-boxes\n');
  expect(jsonLines((await cli(['migrate', '--json'], around)).stdout)).toEqual([
    { applied: ['0001-log', '0002-boxes'] },
  ]);
});

test('doctor exits 1 when something does not work, and says what would help', async () => {
  const warning = {
    name: 'isolation',
    status: 'warning',
    detail: 'plain',
    help: 'Install bubblewrap.',
  } as const;
  const failure = { name: 'postgres', status: 'failure', detail: 'no binaries' } as const;
  const fine = await cli(['doctor'], { server: { doctor: async () => [warning] } });
  expect(fine.code).toBe(0);
  expect(fine.stdout).toContain('isolation: plain\n         Install bubblewrap.\n');
  const bad = await cli(['doctor', '--json'], { server: { doctor: async () => [warning, failure] } });
  expect(bad.code).toBe(1);
  expect(jsonLines(bad.stdout)).toEqual([warning, { ...failure, help: null }]);
});
