import { Command } from 'commander';
import { limits } from '../../kernel/limits.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { ServeFlags, ServeOptions } from '../serve-options.ts';
import type { ReadyServer, ServerCommands } from '../server-commands.ts';
import { inRun, type Run } from '../session.ts';
import { visible } from '../visible.ts';

export const serveCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addServerFlags(
      addMetricsFlags(addCheckpointFlags(new Command('serve').description('serve until Ctrl-C'))),
    ).action((flags: ServeFlags) =>
      inRun(io, flags.json === true, async (run) => {
        const options = await serveOptions(flags, io);
        const ending = new AbortController();
        run.takeSignals(() => {
          ending.abort();
          run.leaveSignals(); // who has no patience for a good order asks again
        });
        await server.serve(options, ending.signal, (ready) => void announce(run, ready));
        return 0;
      }),
    ),
    'boxledger serve',
    'boxledger serve --listen 127.0.0.1:0 --data-dir /var/lib/boxledger --json',
  );

/** Loaded only here: what checks the options takes longer to load than most commands to run. */
export const serveOptions = async (flags: ServeFlags, { env, workingDir }: CliIo): Promise<ServeOptions> => {
  const { parseServeOptions } = await import('../serve-options.ts');
  return parseServeOptions(flags, env, workingDir);
};

/** The last line of the start-up says where. */
const announce = ({ json, output }: Run, { grpc, dataDir, metrics }: ReadyServer): Promise<void> =>
  json
    ? output.json({ ready: true, grpc, dataDir, ...(metrics === undefined ? {} : { metrics }) })
    : output.line(
        `boxledger serves on ${grpc}${metrics === undefined ? '' : `, metrics on ${metrics}`}; ` +
          `its data is in ${visible(dataDir)}. Ctrl-C ends it.`,
      );

/** Flags that say what a server is to be. Their values are checked together, with what the environment and the file say. */
export const addServerFlags = (command: Command): Command =>
  addDatabaseFlags(
    command
      .option('--listen <host:port>', 'address to serve on; port 0: a free one (default 127.0.0.1:7433)')
      .option('--redis-url <url>', 'Redis for the queue (else REDIS_URL, else the queue is in Postgres)')
      .option('--driver <kind>', 'what boxes are: process, qemu or sim (default process)')
      .option(
        '--isolation <kind>',
        'how boxes are kept apart: auto, strict (all that there is, or not at all), bwrap, unshare or plain (default auto)',
      )
      .option('--accelerator <kind>', 'what runs a machine: auto, kvm or tcg (default auto; driver qemu)')
      .option(
        '--ready-machines <n>',
        'how many machines stand ready to become a box (default 1; driver qemu)',
      )
      .option('--keep-commands-days <days>', 'how long the answers to commands are kept (default 30)')
      .option('--keep-effects-days <days>', 'how long effects that are over are kept (default 7)')
      .option(
        '--partition-events <n>',
        `events in a partition of the log, about (default ${limits.partitionEvents})`,
      )
      .option('--token-file <file>', 'file with the bearer token that callers must show'),
  );

const addMetricsFlags = (command: Command): Command =>
  command
    .option('--metrics-address <host:port>', 'let Prometheus scrape /metrics there (default: nowhere)')
    .option('--metrics-token-file <file>', 'file with the bearer token that a scrape must show');

const addCheckpointFlags = (command: Command): Command =>
  command
    .option(
      '--checkpoint-every-events <n>',
      'sign the log once so many events are not signed (default 10000)',
    )
    .option('--checkpoint-every-ms <ms>', 'and after so many milliseconds when there are any (default 60000)')
    .option('--checkpoint-key-file <file>', 'key to sign with, made if need be (default in the data dir)')
    .option(
      '--checkpoint-sinks <list>',
      'directories and http(s) URLs that get every checkpoint, with commas',
    );

export const addDatabaseFlags = (command: Command): Command =>
  command
    .option('--data-dir <dir>', 'where data is kept (else BOXLEDGER_DATA_DIR, else ./.boxledger)')
    .option('--database-url <url>', 'Postgres to use (else DATABASE_URL, else one under the data dir)')
    .option('--config <file>', 'JSON file with these settings, such as {"logLevel":"warn"}')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (default info)')
    .option('--json', 'print JSON');
