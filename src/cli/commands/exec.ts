import { Command } from 'commander';
import { attach } from '../attach.ts';
import { envValue } from '../box-flags.ts';
import { defaultDetachKeys, detachKeysValue } from '../detach-keys.ts';
import { startDetached } from '../detached.ts';
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
import { sizeOf } from '../terminal.ts';

interface ExecFlags extends ConnectionFlags, MutationFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly detachKeys: string;
  readonly user?: string;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly timeout?: string;
  readonly autoStart?: boolean;
}

export const execCommand = (io: CliIo): Command => {
  const command = new Command('exec')
    .description("run a program in a box, with its output and exit code as this command's own")
    .addHelpText(
      'after',
      `
The program does not end with this command: when that is killed or cut off, the program goes on, with its
input open, until it ends by itself, by --timeout, by \`boxledger kill\` or with its box.`,
    )
    .argument('<box>', 'name, id or prefix')
    .argument('<command>', "looked up in the box's PATH when it holds no slash")
    .argument('[arg...]', "the program's own arguments; what follows its name is not read as an option")
    .passThroughOptions()
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the program a terminal')
    .option('-d, --detach', "print the exec's id and leave the program running, its input at its end")
    .option('--detach-keys <keys>', 'on a terminal, leave the program by these', defaultDetachKeys)
    .option('-u, --user <user>', "USER or USER:GROUP to run as, by name or id (default: the box's)")
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
  return withExamples(
    command,
    'boxledger exec web ls -l /',
    'boxledger exec -it web sh',
    'boxledger exec -d web ./server --port 8080',
  );
};

const exec = (io: CliIo, box: string, [program = '', ...args]: readonly string[], flags: ExecFlags) =>
  inSession(io, flags, {
    name: 'exec',
    read: (faults) => {
      if (flags.detach === true && flags.interactive === true)
        faults.add('--interactive', 'cannot be had with --detach');
      return {
        detachKeys: detachKeysValue(faults, flags.detachKeys),
        options: {
          ...mutationValue(faults, flags),
          args,
          env: envValue(faults, flags.env ?? [], io),
          workingDir: flags.workdir,
          user: flags.user,
          programTimeoutMs: secondsValue(faults, '--timeout', flags.timeout),
          autoStart: flags.autoStart === false ? false : undefined,
        },
      };
    },
    work: async (session, { detachKeys, options }) => {
      const { client, signal } = session;
      // So that a NotFound of what follows can only mean the program.
      const { boxId } = await client.get(box, { signal });
      const { interactive = false, tty = false } = flags;
      if (flags.detach === true)
        return startDetached(session, boxId, program, {
          ...options,
          tty: tty ? sizeOf(io.stdout) : undefined,
        });
      // Of what is piped in, a part could be lost with the connection, and the program would not know.
      const reattach = !interactive || tty;
      return attach(session, {
        open: (given) => client.exec(boxId, program, { ...options, ...given, reattach }),
        ...{ interactive, tty, detachKeys, endsInput: true, passesSignals: true },
      });
    },
  });
