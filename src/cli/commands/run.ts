import { Command } from 'commander';
import type { Box } from '../../gen/boxledger/v1/box.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { attach } from '../attach.ts';
import { addBoxFlags, type BoxFlags, boxOptionsValue } from '../box-flags.ts';
import { exitCodeOf, exitCodes } from '../exit-codes.ts';
import { FailureWithCode, reportFailure } from '../failure.ts';
import { FlagFaults, mutationValue, secondsValue } from '../flag-values.ts';
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
      "print the box's id and leave it running; the program writes to run.log in its home",
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
  inSession(io, flags, async (session) => {
    const { client, signal, progress } = session;
    const faults = new FlagFaults();
    const options = await boxOptionsValue(faults, flags, io);
    const programTimeoutMs = secondsValue(faults, '--timeout', flags.timeout);
    const { commandId, reason } = mutationValue(faults, flags);
    checkTogether(faults, program, flags);
    faults.check('run');
    // Three changes, so three ids: each is repeatable when the whole is.
    const step = (name: string) => ({
      reason,
      signal,
      commandId: commandId === undefined ? undefined : `${commandId}.${name}`,
    });
    const { box } = await client.create({ ...step('create'), name: flags.name, options });
    const runs = { ...step('exec'), programTimeoutMs };
    const starting = () => progress(`Starting ${visible(box.name)}`, client.start(box.boxId, step('start')));
    if (flags.detach === true) {
      await starting();
      if (program.length > 0) await leaveRunning(session, box, program, runs);
      await session.printBox(await client.get(box.boxId, { signal }), visible(box.boxId));
      return 0;
    }
    try {
      await starting();
      const [command = '', ...args] = program;
      const { interactive = false, tty = false } = flags;
      return await attach(session, {
        boxId: box.boxId,
        command,
        interactive,
        tty,
        options: { ...runs, args },
      });
    } finally {
      await leave(session, box, flags.rm === true, reason);
    }
  });

const checkTogether = (faults: FlagFaults, program: readonly string[], flags: RunFlags) => {
  if (program.length === 0 && flags.detach !== true) faults.add('command', 'is missing');
  if (flags.detach !== true) return;
  for (const other of ['rm', 'interactive', 'tty', 'timeout'] as const)
    if (flags[other] !== undefined) faults.add(`--${other}`, 'cannot be had with --detach');
};

/**
 * A program belongs to the call that started it. One that is to outlive the call is left behind by a shell; it stays in
 * the shell's process group, with which the box's stop ends it.
 */
const leaveBehind = 'command -v "$1" >/dev/null || exit 127; "$@" </dev/null >"$HOME/run.log" 2>&1 &';

const leaveRunning = async (
  { client, signal }: Session,
  { boxId }: Box,
  program: readonly string[],
  options: { readonly commandId: string | undefined; readonly reason: string | undefined },
) => {
  const exec = client.exec(boxId, 'sh', { ...options, signal, args: ['-c', leaveBehind, 'sh', ...program] });
  void exec.endStdin();
  for await (const output of exec) {
    if (output.kind !== 'exited') continue;
    const code = exitCodeOf(output.exit);
    if (code === 0) return;
    const missing = new BoxledgerError('NotFound', `${program[0]} cannot be started in the box`, {
      help: `The box runs without it: \`boxledger exec ${boxId} …\`, or \`boxledger rm -f ${boxId}\`.`,
    });
    throw new FailureWithCode(missing, code ?? exitCodes.ownFailure);
  }
};

const leaveTimeoutMs = 60_000;

/** The program's exit code stands even if this fails; and it is done even when we were told to end. */
const leave = async (session: Session, { boxId, name }: Box, remove: boolean, reason: string | undefined) => {
  const { client, progress, io, json } = session;
  const options = { reason, timeoutMs: leaveTimeoutMs };
  const leaving = remove ? client.remove(boxId, { ...options, force: true }) : client.stop(boxId, options);
  await progress(`${remove ? 'Removing' : 'Stopping'} ${visible(name)}`, leaving).catch((error: unknown) => {
    // Removed by somebody else in the meantime is as good.
    if (!(error instanceof BoxledgerError && error.code === 'NotFound')) reportFailure(io, error, json);
  });
};
