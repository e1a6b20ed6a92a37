import { Command } from 'commander';
import { numberValue } from '../flag-values.ts';
import { addConnectionFlags, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

interface LogsFlags extends ConnectionFlags {
  readonly follow?: boolean;
  readonly tail?: string;
}

export const logsCommand = (io: CliIo): Command => {
  const command = new Command('logs')
    .description(
      "a box's console since its last start; what programs say that exec runs goes to who ran them",
    )
    .argument('<box>', 'name, id or prefix')
    .option('-f, --follow', 'go on with what is written from now on, until the box ends')
    .option('-n, --tail <lines>', 'only the last so many lines (default: all that is kept, about 1 MiB)');
  addConnectionFlags(command).action((box: string, flags: LogsFlags) => logs(io, box, flags));
  return withExamples(command, 'boxledger logs web', 'boxledger logs -f -n 20 web');
};

const logs = (io: CliIo, box: string, flags: LogsFlags) =>
  inSession(io, flags, {
    name: 'logs',
    read: (faults) => ({
      tailLines:
        flags.tail === 'all' ? undefined : numberValue(faults, '--tail', flags.tail, { whole: true }),
    }),
    work: async ({ client, signal, json, output }, { tailLines }) => {
      for await (const text of client.console(box, { tailLines, follow: flags.follow, signal }))
        await (json ? output.json({ text }) : output.bytes('stdout', text));
      return 0;
    },
  });
