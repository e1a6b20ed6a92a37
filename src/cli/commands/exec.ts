import { Command } from 'commander';
import { attach } from '../attach.ts';
import { envValue } from '../box-flags.ts';
import { mutationValue, secondsValue } from '../flag-values.ts';
import {
  addConnectionFlags,
  addMutationFlags,
  type MutationFlags,
  repeatable,
  withExamples,
} from '../flags.ts';
import type { CliIo } from '../io.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

interface ExecFlags extends ConnectionFlags, MutationFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly timeout?: string;
  readonly autoStart?: boolean;
}

export const execCommand = (io: CliIo): Command => {
  const command = new Command('exec')
    .description("run a program in a box, with its output and exit code as this command's own")
    .argument('<box>', 'name, id or prefix')
    .argument('<command>', "looked up in the box's PATH when it holds no slash")
    .argument('[arg...]', "the program's own arguments; what follows its name is not read as an option")
    .passThroughOptions()
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the program a terminal')
    .option(
      '-e, --env <k=v>',
      "a variable for the program; a name alone takes this shell's value",
      repeatable,
    )
    .option('-w, --workdir <dir>', "absolute directory to start in (default: the box's)")
    .option('--timeout <seconds>', 'end the program after so long')
    .option('--no-auto-start', 'refuse when the box would have to be started first');
  addConnectionFlags(addMutationFlags(command));
  command.action((box: string, program: string, args: string[], flags: ExecFlags) =>
    exec(io, box, program === '--' ? args : [program, ...args], flags),
  );
  return withExamples(command, 'boxledger exec web ls -l /', 'boxledger exec -it web sh');
};

const exec = (io: CliIo, box: string, [program = '', ...args]: readonly string[], flags: ExecFlags) =>
  inSession(io, flags, {
    name: 'exec',
    read: (faults) => ({
      ...mutationValue(faults, flags),
      args,
      env: envValue(faults, flags.env ?? [], io),
      workingDir: flags.workdir,
      programTimeoutMs: secondsValue(faults, '--timeout', flags.timeout),
      autoStart: flags.autoStart === false ? false : undefined,
    }),
    work: async (session, options) => {
      // So that a NotFound of what follows can only mean the program.
      const { boxId } = await session.client.get(box, { signal: session.signal });
      const { interactive = false, tty = false } = flags;
      return attach(session, { boxId, command: program, interactive, tty, options });
    },
  });
