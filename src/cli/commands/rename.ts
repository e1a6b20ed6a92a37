import { Command } from 'commander';
import { mutationValue, nameValue } from '../flag-values.ts';
import {
  addConnectionFlags,
  addMutationFlags,
  addVersionFlag,
  type MutationFlags,
  withExamples,
} from '../flags.ts';
import type { CliIo } from '../io.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

export const renameCommand = (io: CliIo): Command => {
  const command = new Command('rename')
    .description('give a box another name; its id and its history stay')
    .argument('<box>', 'name, id or prefix')
    .argument('<name>', 'unique name');
  addConnectionFlags(addVersionFlag(addMutationFlags(command)));
  command.action((box: string, name: string, flags: ConnectionFlags & MutationFlags) =>
    inSession(io, flags, {
      name: 'rename',
      read: (faults) => {
        nameValue(faults, 'name', name);
        return mutationValue(faults, flags);
      },
      work: async ({ client, signal, printBox }, asked) => {
        const renamed = await client.rename(box, name, { ...asked, signal });
        await printBox(renamed, visible(renamed.name));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger rename web web-old');
};
