import { Command } from 'commander';
import { secondsValue } from '../flag-values.ts';
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
  inSession(io, flags, {
    name: 'wait',
    read: (faults) => ({
      states: flags.state ?? ended,
      timeoutMs: secondsValue(faults, '--timeout', flags.timeout),
    }),
    work: async ({ client, signal, progress, printBox }, { states, timeoutMs }) => {
      const waiting = client.wait(name, states, { signal, timeoutMs });
      const box = await progress(`Waiting for ${visible(name)}`, waiting);
      await printBox(box, `${visible(box.state)} ${exitText(box.exit)}`.trimEnd());
      return 0;
    },
  });
