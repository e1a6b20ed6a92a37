import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { prepareDatabase } from '../../src/main/prepare-database.ts';
import { serve } from '../../src/main/serve.ts';
import { buildAgent } from '../support/agent-process.ts';
import { createDatabase } from '../support/database.ts';
import { createLogin } from '../support/roles.ts';
import { type CliUnderTest, cli, jsonLines, type Outcome, startCli } from './in-process.ts';

/** A server as it is: real Postgres, with the service's rights, real processes in real boxes. */
export interface RealServer {
  readonly dataDir: string;
  /** HOST:PORT that can be scraped, where the flags ask for one. */
  readonly metricsAddress: string | undefined;
  /** Runs one command line against it. */
  run(...argv: string[]): Promise<Outcome>;
  start(argv: readonly string[], around?: Omit<Parameters<typeof startCli>[1], 'env'>): CliUnderTest;
  /** Removes every box and ends the server. */
  stop(): Promise<void>;
}

/** `flagsFor`: of `serve` besides those that every server here has. */
export const startRealServer = async (
  flagsFor: (dataDir: string) => readonly string[] = () => [],
): Promise<RealServer> => {
  await buildAgent();
  const database = await createDatabase();
  await prepareDatabase(database.url, {}, pino({ level: 'silent' }));
  const service = await createLogin(database.url, 'boxledger_service');
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-cli-real-'));
  let metricsAddress: string | undefined;
  const server = startCli(
    [
      ...['serve', '--json', '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--log-level', 'silent'],
      ...flagsFor(dataDir),
    ],
    {
      env: { DATABASE_URL: service.url },
      server: {
        serve: (options, signal, ready) =>
          serve(options, signal, (about) => {
            metricsAddress = about.metrics;
            ready(about);
          }),
      },
    },
  );
  const early = await Promise.race([server.shown('"ready":true'), server.done]);
  if (early !== undefined) throw new Error(early.stderr);
  const env = { BOXLEDGER_DATA_DIR: dataDir };
  const run = (...argv: string[]) => cli([...argv], { env });
  return {
    dataDir,
    metricsAddress,
    run,
    start: (argv, around = {}) => startCli(argv, { ...around, env }),
    stop: async () => {
      for (const box of jsonLines((await run('ls', '--json')).stdout) as { name: string }[])
        await run('rm', '-f', box.name);
      server.signal('SIGTERM');
      await server.done;
      await service.drop();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};
