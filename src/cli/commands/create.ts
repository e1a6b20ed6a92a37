import { Command } from 'commander';
import { addBoxFlags, type BoxFlags, boxOptionsValue } from '../box-flags.ts';
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

interface CreateFlags extends BoxFlags, ConnectionFlags, MutationFlags {
  readonly getOrCreate?: boolean;
  readonly rm?: boolean;
}

export const createCommand = (io: CliIo): Command => {
  const command = new Command('create')
    .description('make a box and print its id; start starts it')
    .argument('[name]', 'unique name; one is made up when it is left out');
  addBoxFlags(command)
    .option('--rm', 'remove the box once it has run and ended')
    .option('--get-or-create', 'a box of this name and the same options will do');
  addConnectionFlags(addVersionFlag(addMutationFlags(command)));
  command.action((name: string | undefined, flags: CreateFlags) => create(io, name, flags));
  return withExamples(command, 'boxledger create web --cpus 2 --memory 1g -e PORT=8080 -l team=shop');
};

const create = (io: CliIo, name: string | undefined, flags: CreateFlags) =>
  inSession(io, flags, {
    name: 'create',
    read: async (faults) => ({
      ...mutationValue(faults, flags),
      name: nameValue(faults, 'name', name),
      options: { ...(await boxOptionsValue(faults, flags, io)), autoRemove: flags.rm },
      getOrCreate: flags.getOrCreate === true,
    }),
    work: async ({ client, signal, printBox }, asked) => {
      const { box } = await client.create({ ...asked, signal });
      await printBox(box, visible(box.boxId));
      return 0;
    },
  });
