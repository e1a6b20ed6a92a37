import { Command } from 'commander';
import { consistencyValue } from '../box-flags.ts';
import { mutationValue, numberValue } from '../flag-values.ts';
import {
  addConnectionFlags,
  addConsistencyFlag,
  addMutationFlags,
  addVersionFlag,
  type MutationFlags,
  withExamples,
} from '../flags.ts';
import type { CliIo } from '../io.ts';
import { withBar } from '../operation-bar.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

interface CloneFlags extends ConnectionFlags, MutationFlags {
  readonly count?: string;
  readonly consistency?: string;
}

export const cloneCommand = (io: CliIo): Command => {
  const command = new Command('clone')
    .description('make boxes with the options and the disk of another, all or none, and print their names')
    .argument('<box>', 'name, id or prefix of the box')
    .argument('[name...]', 'of the clones; BOX-1 and on when left out')
    .option('-n, --count <n>', 'how many, where no names are given (default 1)');
  addConnectionFlags(addVersionFlag(addMutationFlags(addConsistencyFlag(command))));
  command.action((box: string, names: string[], flags: CloneFlags) =>
    inSession(io, flags, {
      name: 'clone',
      read: (faults) => {
        if (names.length > 0 && flags.count !== undefined)
          faults.add('--count', 'cannot be had with names, which say how many');
        return {
          ...mutationValue(faults, flags),
          names,
          count: numberValue(faults, '--count', flags.count, { whole: true, min: 1 }),
          consistency: consistencyValue(faults, flags.consistency),
        };
      },
      work: async (session, asked) => {
        const { client, signal } = session;
        const { clones } = await withBar(session, (onProgress) =>
          client.disks.clone(box, { ...asked, signal, onProgress }),
        );
        for (const one of clones) await session.printBox(one, visible(one.name));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger clone web web-test', 'boxledger clone web -n 4');
};
