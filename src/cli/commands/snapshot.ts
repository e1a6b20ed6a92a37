import { Command } from 'commander';
import { consistencyValue } from '../box-flags.ts';
import { snapshotJson } from '../disk-json.ts';
import { mutationValue, nameValue } from '../flag-values.ts';
import {
  addConnectionFlags,
  addConsistencyFlag,
  addMutationFlags,
  addVersionFlag,
  type MutationFlags,
  withExamples,
} from '../flags.ts';
import { forEachBox } from '../for-each-box.ts';
import type { CliIo } from '../io.ts';
import { withBar } from '../operation-bar.ts';
import { snapshotDetails, snapshotTable } from '../render-snapshot.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

/** snapshot create, ls, inspect, restore and rm. */
export const snapshotCommand = (io: CliIo): Command => {
  const command = new Command('snapshot').description('keep the disk of a box as it is, and put it back');
  for (const one of [create(io), ls(io), inspect(io), restore(io), rm(io)]) command.addCommand(one);
  return withExamples(command, 'boxledger snapshot create web before-upgrade');
};

const boxArgument = 'name, id or prefix of the box';
const snapshotArgument = 'its name or id';

interface CreateFlags extends ConnectionFlags, MutationFlags {
  readonly consistency?: string;
}

const create = (io: CliIo): Command => {
  const command = new Command('create')
    .description('keep the disk as it is now and print the snapshot’s name; a box that runs is held for it')
    .argument('<box>', boxArgument)
    .argument('[name]', 'unique in the box; one is made up when it is left out');
  addConnectionFlags(addVersionFlag(addMutationFlags(addConsistencyFlag(command))));
  command.action((box: string, name: string | undefined, flags: CreateFlags) =>
    inSession(io, flags, {
      name: 'snapshot create',
      read: (faults) => ({
        ...mutationValue(faults, flags),
        name: nameValue(faults, 'name', name),
        consistency: consistencyValue(faults, flags.consistency),
      }),
      work: async (session, asked) => {
        const { client, signal, json, output } = session;
        const { snapshot } = await withBar(session, (onProgress) =>
          client.disks.createSnapshot(box, { ...asked, signal, onProgress }),
        );
        await (json ? output.json(snapshotJson(snapshot)) : output.line(visible(snapshot.name)));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger snapshot create web before-upgrade --consistency required');
};

const ls = (io: CliIo): Command => {
  const command = new Command('ls')
    .description('the snapshots of a box, oldest first')
    .argument('<box>', boxArgument);
  addConnectionFlags(command).action((box: string, flags: ConnectionFlags) =>
    inSession(io, flags, {
      name: 'snapshot ls',
      read: () => undefined,
      work: async ({ client, signal, json, output }) => {
        const { snapshots, standsOn } = await client.get(box, { signal });
        if (!json) await output.line(snapshotTable(snapshots, standsOn));
        else for (const snapshot of snapshots) await output.json(snapshotJson(snapshot));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger snapshot ls web');
};

const inspect = (io: CliIo): Command => {
  const command = new Command('inspect')
    .description('everything that is known of a snapshot')
    .argument('<box>', boxArgument)
    .argument('<snapshot>', snapshotArgument);
  addConnectionFlags(command).action((box: string, snapshot: string, flags: ConnectionFlags) =>
    inSession(io, flags, {
      name: 'snapshot inspect',
      read: () => undefined,
      work: async ({ client, signal, json, output }) => {
        const found = await client.disks.getSnapshot(box, snapshot, { signal });
        await (json ? output.json(snapshotJson(found)) : output.line(snapshotDetails(found)));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger snapshot inspect web before-upgrade --json');
};

const restore = (io: CliIo): Command => {
  const command = new Command('restore')
    .description(
      'put the disk of a box that does not run back to what it was; what was written since is gone',
    )
    .argument('<box>', boxArgument)
    .argument('<snapshot>', snapshotArgument);
  addConnectionFlags(addVersionFlag(addMutationFlags(command)));
  command.action((box: string, snapshot: string, flags: ConnectionFlags & MutationFlags) =>
    inSession(io, flags, {
      name: 'snapshot restore',
      read: (faults) => mutationValue(faults, flags),
      work: async (session, asked) => {
        const restored = await withBar(session, (onProgress) =>
          session.client.disks.restoreSnapshot(box, snapshot, {
            ...asked,
            signal: session.signal,
            onProgress,
          }),
        );
        await session.printBox(restored, visible(box));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger snapshot restore web before-upgrade');
};

const rm = (io: CliIo): Command => {
  const command = new Command('rm')
    .description('give snapshots up')
    .argument('<box>', boxArgument)
    .argument('<snapshot...>', 'names or ids');
  addConnectionFlags(addMutationFlags(command));
  command.action((box: string, snapshots: string[], flags: ConnectionFlags & MutationFlags) =>
    inSession(io, flags, {
      name: 'snapshot rm',
      read: (faults) => {
        if (snapshots.length > 1 && flags.commandId !== undefined)
          faults.add('--command-id', 'fits one snapshot only');
        return mutationValue(faults, flags);
      },
      work: async (session, asked) => {
        const { client, signal } = session;
        let code = 0;
        // One after the other: a box does one thing at a time to its disk.
        for (const snapshot of snapshots) {
          const remove = (name: string) => client.disks.removeSnapshot(box, name, { ...asked, signal });
          const print = (_: unknown, name: string) =>
            session.json ? session.output.json({ removed: name }) : session.output.line(visible(name));
          code = Math.max(code, await forEachBox(session, [snapshot], 'Removing', remove, print));
        }
        return code;
      },
    }),
  );
  return withExamples(command, 'boxledger snapshot rm web before-upgrade');
};
