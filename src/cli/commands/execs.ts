import { Command } from 'commander';
import type { ExecInfo } from '../../sdk/execs.ts';
import { attach } from '../attach.ts';
import { defaultDetachKeys, detachKeysValue } from '../detach-keys.ts';
import { execOfBox } from '../exec-of-box.ts';
import { addConnectionFlags, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { execJson } from '../json-forms.ts';
import { execTable } from '../render-exec.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

/** Programs that run in boxes, whoever started them. */
export const execsCommands = (io: CliIo): readonly Command[] => [
  attachCommand(io),
  listCommand(io),
  killCommand(io),
];

interface AttachFlags extends ConnectionFlags {
  readonly detachKeys: string;
  readonly stdin: boolean;
  readonly sigProxy: boolean;
}

const attachCommand = (io: CliIo): Command => {
  const command = new Command('attach')
    .description('attach to a program that runs in a box: what is kept of its output, then what it writes')
    .argument('<box>', 'name, id or prefix')
    .argument(
      '[exec]',
      'id or prefix, as `exec -d` and `execs` print it; may be left out when one program runs',
    )
    .option('--detach-keys <keys>', 'on a terminal, leave the program by these', defaultDetachKeys)
    .option('--no-stdin', 'do not pass standard input on')
    .option('--no-sig-proxy', 'signals end this command, and do not go to the program');
  addConnectionFlags(command);
  command.action((box: string, exec: string | undefined, flags: AttachFlags) =>
    inSession(io, flags, {
      name: 'attach',
      read: (faults) => detachKeysValue(faults, flags.detachKeys),
      work: async (session, detachKeys) => {
        const { execId, tty } = await execOfBox(session, box, exec);
        return attach(session, {
          open: ({ signal }) => session.client.execs.attach(execId, { signal }),
          ...{ interactive: flags.stdin, tty, detachKeys, endsInput: false, passesSignals: flags.sigProxy },
        });
      },
    }),
  );
  return withExamples(command, 'boxledger attach web', 'boxledger attach web ex_4f9k2m --no-stdin');
};

interface ListFlags extends ConnectionFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
}

const listCommand = (io: CliIo): Command => {
  const command = new Command('execs')
    .description('list the programs that run in a box, newest first')
    .argument('<box>', 'name, id or prefix')
    .option('-a, --all', 'those that have ended as well')
    .option('-q, --quiet', 'only the ids');
  addConnectionFlags(command);
  command.action((box: string, flags: ListFlags) =>
    inSession(io, flags, {
      name: 'execs',
      read: () => undefined,
      work: async ({ client, signal, json, output }) => {
        const shown: ExecInfo[] = [];
        for await (const exec of client.execs.list(box, { signal, includeEnded: flags.all })) {
          if (json) await output.json(execJson(exec));
          else if (flags.quiet === true) await output.line(visible(exec.execId));
          else shown.push(exec);
        }
        if (!json && flags.quiet !== true) await output.line(execTable(shown, Date.now()));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger execs web', 'boxledger execs -a web --json');
};

interface KillFlags extends ConnectionFlags {
  readonly signal: string;
}

const killCommand = (io: CliIo): Command => {
  const command = new Command('kill')
    .description('send a signal to a program in a box, and to all of its process group')
    .argument('<box>', 'name, id or prefix')
    .argument('<exec...>', 'ids or prefixes')
    .option('-s, --signal <name>', 'as in signal(7), with or without SIG', 'KILL');
  addConnectionFlags(command);
  command.action((box: string, references: string[], flags: KillFlags) =>
    inSession(io, flags, {
      name: 'kill',
      read: () => flags.signal.toUpperCase().replace(/^(SIG)?/, 'SIG'),
      work: async (session, name) => {
        const { client, signal, json, output } = session;
        for (const reference of references) {
          const { execId } = await execOfBox(session, box, reference);
          await client.execs.signal(execId, name, { signal });
          await (json ? output.json({ execId, signal: name }) : output.line(visible(execId)));
        }
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger kill web ex_4f9k2m', 'boxledger kill -s HUP web ex_4f9k2m');
};
