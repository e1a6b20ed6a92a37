import { Command } from 'commander';
import type { Box } from '../../sdk/client.ts';
import { addConnectionFlags, withExamples } from '../flags.ts';
import { forEachBox } from '../for-each-box.ts';
import type { CliIo } from '../io.ts';
import { momentHelp, momentValue } from '../moment-value.ts';
import { boxDetails } from '../render-box.ts';
import { boxAtText } from '../render-history.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

export const inspectCommand = (io: CliIo): Command => {
  const command = new Command('inspect')
    .description('everything that is known of boxes')
    .argument('<box...>', 'names, ids or prefixes; a removed box by its whole id')
    .option('--at <moment>', `as they were: ${momentHelp}`);
  addConnectionFlags(command).action((boxes: string[], flags: InspectFlags) => inspect(io, boxes, flags));
  return withExamples(
    command,
    'boxledger inspect web --at 1h',
    'boxledger inspect web --json | jq .process.pid',
  );
};

interface InspectFlags extends ConnectionFlags {
  readonly at?: string;
}

const inspect = (io: CliIo, boxes: readonly string[], flags: InspectFlags) =>
  inSession(io, flags, {
    name: 'inspect',
    read: (faults) => momentValue(faults, '--at', flags.at, Date.now()),
    work: (session, at) => {
      const { client, signal, printBox } = session;
      let gap = '';
      const show = ({ box, text }: Shown) => {
        const spaced = gap + text;
        gap = '\n';
        return printBox(box, spaced);
      };
      const look = async (reference: string): Promise<Shown> => {
        if (at !== undefined) {
          const then = await client.history.getAt(reference, at, { signal });
          return { box: then.box, text: boxAtText(then) };
        }
        const box = await client.get(reference, { signal });
        return { box, text: boxDetails(box) };
      };
      return forEachBox(session, boxes, 'Looking at', look, show);
    },
  });

interface Shown {
  readonly box: Box;
  readonly text: string;
}
