import { Command } from 'commander';
import { boxStates } from '../../events/box-view.ts';
import { FlagFaults, secondsValue } from '../flag-values.ts';
import { addConnectionFlags, repeatable, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { exitText } from '../render-box.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

interface WaitFlags extends ConnectionFlags {
  readonly state?: readonly string[];
  readonly timeout?: string;
}

/** A box that failed to start, or was removed, will not stop any more. */
const ended = ['stopped', 'failed', 'removed'];

export const waitCommand = (io: CliIo): Command => {
  const command = new Command('wait')
    .description('wait until a box is in a state; print the state, and how the box last ended')
    .argument('<box>', 'name, id or prefix')
    .option('--state <state>', `one that will do (default ${ended.join(', ')})`, repeatable)
    .option('--timeout <seconds>', 'wait no longer; exit 125 then');
  addConnectionFlags(command).action((box: string, flags: WaitFlags) => wait(io, box, flags));
  return withExamples(command, 'boxledger wait web', 'boxledger wait web --state running --timeout 30');
};

const wait = (io: CliIo, name: string, flags: WaitFlags) =>
  inSession(io, flags, async ({ client, signal, progress, printBox }) => {
    const faults = new FlagFaults();
    const states = flags.state ?? ended;
    const known: readonly string[] = boxStates;
    for (const state of states)
      if (!known.includes(state))
        faults.add('--state', `must be one of ${known.join(', ')}, not ${JSON.stringify(state)}`);
    const timeoutMs = secondsValue(faults, '--timeout', flags.timeout);
    faults.check('wait');
    const box = await progress(
      `Waiting for ${visible(name)}`,
      client.wait(name, states, { signal, timeoutMs }),
    );
    await printBox(box, `${visible(box.state)} ${exitText(box.exit)}`.trimEnd());
    return 0;
  });
