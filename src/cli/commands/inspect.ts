import { Command } from 'commander';
import type { Box } from '../../sdk/client.ts';
import { addConnectionFlags, withExamples } from '../flags.ts';
import { forEachBox } from '../for-each-box.ts';
import type { CliIo } from '../io.ts';
import { boxDetails } from '../render-box.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

export const inspectCommand = (io: CliIo): Command => {
  const command = new Command('inspect')
    .description('everything that is known of boxes')
    .argument('<box...>', 'names, ids or prefixes; a removed box by its whole id');
  addConnectionFlags(command).action((boxes: string[], flags: ConnectionFlags) => inspect(io, boxes, flags));
  return withExamples(command, 'boxledger inspect web', 'boxledger inspect web --json | jq .process.pid');
};

const inspect = (io: CliIo, boxes: readonly string[], flags: ConnectionFlags) =>
  inSession(io, flags, {
    name: 'inspect',
    read: () => undefined,
    work: (session) => {
      const { client, signal, printBox } = session;
      let gap = '';
      const show = (box: Box) => {
        const text = gap + boxDetails(box);
        gap = '\n';
        return printBox(box, text);
      };
      return forEachBox(session, boxes, 'Looking at', (box) => client.get(box, { signal }), show);
    },
  });
