import { Command, CommanderError } from 'commander';
import { BoxledgerError } from '../kernel/errors.ts';
import { archiveCommand } from './commands/archive.ts';
import { auditCommand } from './commands/audit.ts';
import { exportCommand, importCommand } from './commands/box-archives.ts';
import { cloneCommand } from './commands/clone.ts';
import { completeCommand, completionCommand } from './commands/completion.ts';
import { cpCommand } from './commands/cp.ts';
import { createCommand } from './commands/create.ts';
import { eventsCommand } from './commands/events.ts';
import { execCommand } from './commands/exec.ts';
import { execsCommands } from './commands/execs.ts';
import { imageCommand } from './commands/image.ts';
import { inspectCommand } from './commands/inspect.ts';
import { lifecycleCommands } from './commands/lifecycle.ts';
import { logsCommand } from './commands/logs.ts';
import { lsCommand } from './commands/ls.ts';
import { doctorCommand, migrateCommand } from './commands/maintenance.ts';
import { momentCommands } from './commands/moments.ts';
import { previewCommand, rebuildCommand } from './commands/projections.ts';
import { renameCommand } from './commands/rename.ts';
import { runCommand } from './commands/run.ts';
import { serveCommand } from './commands/serve.ts';
import { snapshotCommand } from './commands/snapshot.ts';
import { statsCommand } from './commands/stats.ts';
import { topCommand } from './commands/top.ts';
import { packageVersion, versionCommand } from './commands/version.ts';
import { waitCommand } from './commands/wait.ts';
import { reportFailure } from './failure.ts';
import type { CliIo } from './io.ts';
import type { ServerCommands } from './server-commands.ts';

export interface CliDeps {
  readonly server: ServerCommands;
  readonly io: CliIo;
}

/** Every command. Each sets the exit code and reports its own failure; usage errors are thrown, for `runCli`. */
export const buildProgram = ({ server, io }: CliDeps): Command => {
  const program = new Command('boxledger')
    .description('Boxes whose every state is history: create, run, watch and prove them.')
    .version(packageVersion(), '-v, --version', 'print the version of this client')
    .enablePositionalOptions();
  const commands = [
    serveCommand(io, server),
    createCommand(io),
    runCommand(io),
    ...lifecycleCommands(io),
    execCommand(io),
    ...execsCommands(io),
    cpCommand(io),
    snapshotCommand(io),
    cloneCommand(io),
    exportCommand(io),
    importCommand(io),
    renameCommand(io),
    lsCommand(io),
    inspectCommand(io),
    eventsCommand(io),
    statsCommand(io),
    topCommand(io),
    logsCommand(io),
    ...momentCommands(io),
    waitCommand(io),
    imageCommand(io, server),
    auditCommand(io, server),
    archiveCommand(io, server),
    migrateCommand(io, server),
    rebuildCommand(io, server),
    previewCommand(io, server),
    doctorCommand(io, server),
    completionCommand(io),
    versionCommand(io),
  ];
  for (const command of commands) program.addCommand(command);
  program.addCommand(
    completeCommand(io, () => program),
    { hidden: true },
  );
  for (const command of [program, ...commands, ...commands.flatMap((one) => one.commands)])
    command
      .configureOutput({
        writeOut: (text) => void io.stdout.write(text),
        writeErr: (text) => void io.stderr.write(text),
        outputError: () => undefined, // said by runCli
      })
      .exitOverride((error) => {
        throw error.exitCode === 0 ? error : new UsageError(error, command);
      });
  return program;
};

/** The command line was not understood; `command` is as far as it was. */
class UsageError extends Error {
  readonly asJson: boolean;
  readonly failure: BoxledgerError;
  constructor(error: CommanderError, command: Command) {
    super(error.message);
    const path = pathOf(command);
    const [message = '', ...suggestion] = error.message.replace(/^error: /, '').split('\n');
    this.failure = new BoxledgerError('InvalidArgument', [message, ...suggestion].join(' '), {
      help: `See \`${path} --help\`.`,
    });
    this.asJson = command.opts()['json'] === true;
  }
}

/** `boxledger audit verify`. */
const pathOf = (command: Command): string =>
  command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;

/** Runs one command line (without the program's own name) to its end; the exit code is set in `io`. */
export const runCli = async (deps: CliDeps, argv: readonly string[]): Promise<void> => {
  const { io } = deps;
  // Help may go to a pager that is closed before its end; what a command writes is its own affair as well (see output.ts).
  for (const stream of [io.stdout, io.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  try {
    await buildProgram(deps).parseAsync(argv.length === 0 ? ['--help'] : argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return io.setExitCode(error.exitCode); // help or version was asked for
    if (!(error instanceof UsageError)) throw error;
    io.setExitCode(reportFailure(io, error.failure, error.asJson || argv.includes('--json')));
  }
};
