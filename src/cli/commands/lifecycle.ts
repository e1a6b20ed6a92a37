import { Command } from 'commander';
import type { Box, Client, WaitableChange } from '../../sdk/client.ts';
import { durationMsValue, mutationValue, secondsValue } from '../flag-values.ts';
import {
  addConnectionFlags,
  addMutationFlags,
  addVersionFlag,
  type MutationFlags,
  withExamples,
} from '../flags.ts';
import { forEachBox } from '../for-each-box.ts';
import type { CliIo } from '../io.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

interface LifecycleFlags extends ConnectionFlags, MutationFlags {
  readonly wait?: boolean;
  readonly timeout?: string;
  readonly maxDuration?: string;
  readonly toDisk?: boolean;
  readonly force?: boolean;
}

type Change = (
  client: Client,
  box: string,
  options: WaitableChange & {
    readonly guestTimeoutMs?: number | undefined;
    readonly force?: boolean | undefined;
    readonly maxDurationMs?: number | undefined;
    readonly toDisk?: boolean | undefined;
  },
) => Promise<Box>;

interface Verb {
  readonly name: 'start' | 'stop' | 'restart' | 'pause' | 'resume' | 'rm';
  readonly description: string;
  /** Said while it is waited for. */
  readonly doing: string;
  readonly change: Change;
  readonly example: string;
}

const verbs: readonly Verb[] = [
  {
    name: 'start',
    description: 'start boxes that do not run',
    doing: 'Starting',
    change: (client, box, options) => client.start(box, options),
    example: 'boxledger start web',
  },
  {
    name: 'stop',
    description: 'stop boxes: by themselves if they can, by force if they must',
    doing: 'Stopping',
    change: (client, box, options) => client.stop(box, options),
    example: 'boxledger stop -t 30 web db',
  },
  {
    name: 'restart',
    description: 'stop boxes that run, then start them',
    doing: 'Restarting',
    change: (client, box, options) => client.restart(box, options),
    example: 'boxledger restart web',
  },
  {
    name: 'pause',
    description: 'freeze boxes where they are',
    doing: 'Pausing',
    change: (client, box, options) => client.pause(box, options),
    example: 'boxledger pause web --max-duration 10m --reason "backup of the host"',
  },
  {
    name: 'resume',
    description: 'let paused boxes go on',
    doing: 'Resuming',
    change: (client, box, options) => client.resume(box, options),
    example: 'boxledger resume web',
  },
  {
    name: 'rm',
    description: 'remove boxes and their disks; their history stays',
    doing: 'Removing',
    change: (client, box, options) => client.remove(box, options),
    example: 'boxledger rm -f web',
  },
];

/** start, stop, restart, pause, resume and rm: what boxes are made to do. */
export const lifecycleCommands = (io: CliIo): readonly Command[] =>
  verbs.map((verb) => {
    const command = new Command(verb.name)
      .description(verb.description)
      .argument('<box...>', 'names, ids or prefixes');
    if (verb.name === 'stop' || verb.name === 'restart')
      command.option('-t, --timeout <seconds>', 'how long a box has to end by itself (default 10)');
    if (verb.name === 'pause')
      command
        .option('--max-duration <duration>', 'such as 10m; it is resumed by itself then')
        .option('--to-disk', 'keep the memory on disk, also when the host restarts (machines)');
    if (verb.name === 'rm') command.option('-f, --force', 'stop a box that runs first');
    command.option('--no-wait', 'only ask for it; do not wait until it has come about');
    addConnectionFlags(addVersionFlag(addMutationFlags(command)));
    command.action((boxes: string[], flags: LifecycleFlags) => changeBoxes(io, verb, boxes, flags));
    return withExamples(command, verb.example);
  });

const changeBoxes = (io: CliIo, verb: Verb, boxes: readonly string[], flags: LifecycleFlags) =>
  inSession(io, flags, {
    name: verb.name,
    read: (faults) => {
      if (boxes.length > 1 && flags.commandId !== undefined) faults.add('--command-id', 'fits one box only');
      if (boxes.length > 1 && flags.expectedVersion !== undefined)
        faults.add('--expected-version', 'fits one box only');
      return {
        ...mutationValue(faults, flags),
        wait: flags.wait !== false,
        force: flags.force,
        guestTimeoutMs: secondsValue(faults, '--timeout', flags.timeout),
        maxDurationMs: durationMsValue(faults, '--max-duration', flags.maxDuration),
        toDisk: flags.toDisk,
      };
    },
    work: (session, asked) => {
      const { client, signal, printBox } = session;
      const change = (box: string) => verb.change(client, box, { ...asked, signal });
      return forEachBox(session, boxes, verb.doing, change, (box, given) => printBox(box, visible(given)));
    },
  });
