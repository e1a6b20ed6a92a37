import { Command } from 'commander';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { Box } from '../../sdk/client.ts';
import { attach } from '../attach.ts';
import { addBoxFlags, type BoxFlags, boxOptionsValue } from '../box-flags.ts';
import { startProgram } from '../detached.ts';
import { Interrupted, reportFailure } from '../failure.ts';
import { type FlagFaults, mutationValue, nameValue, secondsValue } from '../flag-values.ts';
import { addConnectionFlags, addMutationFlags, type MutationFlags, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { type ConnectionFlags, inSession, type Session } from '../session.ts';
import { visible } from '../visible.ts';

interface RunFlags extends BoxFlags, ConnectionFlags, MutationFlags {
  readonly name?: string;
  readonly rm?: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly timeout?: string;
}

export const runCommand = (io: CliIo): Command => {
  const command = new Command('run')
    .description('make a box, run a program in it, and stop the box when the program has ended')
    .argument('[command]', "looked up in the box's PATH when it holds no slash; may be left out with -d")
    .argument('[arg...]', "the program's own arguments; what follows its name is not read as an option")
    .passThroughOptions()
    .option('--name <name>', "the box's name; one is made up when it is left out")
    .option('--rm', 'remove the box when the program has ended')
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the program a terminal')
    .option(
      '-d, --detach',
      "print the box's id and leave it running; `boxledger attach` shows what the program writes",
    )
    .option('--timeout <seconds>', 'end the program after so long');
  addConnectionFlags(addMutationFlags(addBoxFlags(command)));
  command.action((program: string | undefined, args: string[], flags: RunFlags) =>
    run(io, program === undefined ? [] : [program, ...args], flags),
  );
  return withExamples(
    command,
    'boxledger run --rm echo hello',
    'boxledger run -it --name lab sh',
    'boxledger run -d --name web --network host python3 -m http.server 8080',
  );
};

const run = (io: CliIo, program: readonly string[], flags: RunFlags) =>
  inSession(io, flags, {
    name: 'run',
    read: async (faults) => {
      checkTogether(faults, program, flags);
      return {
        ...mutationValue(faults, flags),
        name: nameValue(faults, '--name', flags.name),
        options: await boxOptionsValue(faults, flags, io),
        programTimeoutMs: secondsValue(faults, '--timeout', flags.timeout),
      };
    },
    work: async (session, { name, options, programTimeoutMs, commandId, reason }) => {
      const { client, signal } = session;
      const [command = '', ...args] = program;
      // Three changes, so three ids: each is repeatable when the whole is.
      const step = (suffix: string) => ({
        reason,
        signal,
        commandId: commandId === undefined ? undefined : `${commandId}.${suffix}`,
      });
      const { box } = await client.create({ ...step('create'), name, options });
      let keepsRunning = false;
      try {
        const running = await session.progress(
          `Starting ${visible(box.name)}`,
          client.start(box.boxId, step('start')),
        );
        if (flags.detach === true) {
          if (command !== '')
            await startProgram(session, box.boxId, command, { ...step('exec'), args, programTimeoutMs });
          keepsRunning = true;
          await session.printBox(running, visible(box.boxId));
          return 0;
        }
        const { interactive = false, tty = false } = flags;
        const exec = { ...step('exec'), args, programTimeoutMs };
        return await attach(session, {
          open: (given) =>
            client.exec(box.boxId, command, { ...exec, ...given, reattach: !interactive || tty }),
          ...{ interactive, tty, endsInput: true, passesSignals: true, detachKeys: Buffer.alloc(0) },
        });
      } finally {
        if (!keepsRunning) await putAway(session, box, flags.rm === true, reason);
      }
    },
  });

const checkTogether = (faults: FlagFaults, program: readonly string[], flags: RunFlags) => {
  if (program.length === 0 && flags.detach !== true) faults.add('command', 'is missing');
  if (flags.detach !== true) return;
  for (const other of ['rm', 'interactive', 'tty'] as const)
    if (flags[other] !== undefined) faults.add(`--${other}`, 'cannot be had with --detach');
};

const putAwayTimeoutMs = 60_000;

/**
 * Stops or removes the box, also after we were told to end; told once more, it gives up. The program's exit code stands
 * whatever comes of it.
 */
const putAway = async (
  session: Session,
  { boxId, name }: Box,
  remove: boolean,
  reason: string | undefined,
) => {
  const { client, progress, io, json } = session;
  const impatience = new AbortController();
  const giveBackSignals = session.takeSignals((signal) => impatience.abort(new Interrupted(signal)));
  const options = { reason, timeoutMs: putAwayTimeoutMs, signal: impatience.signal };
  const change = remove ? client.remove(boxId, { ...options, force: true }) : client.stop(boxId, options);
  try {
    await progress(`${remove ? 'Removing' : 'Stopping'} ${visible(name)}`, change);
  } catch (error) {
    // Removed by somebody else in the meantime is as good.
    if (!(error instanceof BoxledgerError && error.code === 'NotFound')) reportFailure(io, error, json);
  } finally {
    giveBackSignals();
  }
};
