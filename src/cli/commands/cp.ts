import { Command } from 'commander';
import { copyEnd } from '../copy-end.ts';
import { type CopyPlan, checkStreams, copyFiles } from '../copy-files.ts';
import { type FlagFaults, mutationValue } from '../flag-values.ts';
import { addConnectionFlags, addMutationFlags, type MutationFlags, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

interface CpFlags extends ConnectionFlags, MutationFlags {
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly quiet?: boolean;
  readonly overwrite?: boolean;
  readonly autoStart?: boolean;
}

export const cpCommand = (io: CliIo): Command => {
  const command = new Command('cp')
    .description('copy files and directories into a box, out of one, or from box to box')
    .argument('<source>', 'BOX:PATH, a local path, or - for a tar archive on standard input')
    .argument('<destination>', 'BOX:PATH, a local path, or - for a tar archive on standard output')
    .option('-a, --archive', 'keep users and groups, where the destination allows it')
    .option('-L, --follow-link', 'copy what the source leads to, if it is a link')
    .option('-q, --quiet', 'show no progress')
    .option('--no-overwrite', 'refuse when a file is there already')
    .option('--no-auto-start', 'refuse when the box would have to be started first');
  addConnectionFlags(addMutationFlags(command));
  command.action((source: string, destination: string, flags: CpFlags) =>
    inSession(io, flags, {
      name: 'cp',
      read: (faults) => planOf(faults, source, destination, flags),
      work: async (session, plan) => {
        if (plan === undefined) return;
        checkStreams(session, plan);
        await copyFiles(session, plan);
      },
    }),
  );
  command.addHelpText('after', rules);
  return withExamples(
    command,
    'boxledger cp ./site web:/srv',
    'boxledger cp web:/var/log/. ./logs',
    'tar c src | boxledger cp - web:/srv',
  );
};

const rules = `
As \`cp -r\` does it: the source goes into the destination if that is a directory, else it becomes the
destination. A source that ends with /. stands for what is in the directory. Paths in a box that are
not absolute begin at its home. All of a copy appears, or nothing; a local path with a colon in it is
written with ./ before it.
`;

const planOf = (
  faults: FlagFaults,
  source: string,
  destination: string,
  flags: CpFlags,
): CopyPlan | undefined => {
  const from = copyEnd(faults, 'source', source);
  const to = copyEnd(faults, 'destination', destination);
  const { commandId, reason } = mutationValue(faults, flags);
  if (to?.kind !== 'box' && commandId !== undefined)
    faults.add(
      '--command-id',
      'is for copies into a box: a copy out changes nothing, however often it is made',
    );
  if (to?.kind === 'stream' && flags.json) faults.add('--json', 'has no place where the archive goes');
  const options = {
    archive: flags.archive === true,
    followLink: flags.followLink === true,
    overwrite: flags.overwrite !== false,
    quiet: flags.quiet === true,
    autoStart: flags.autoStart === false ? (false as const) : undefined,
    reason,
    commandId,
  };
  if (from === undefined || to === undefined) return undefined;
  if (from.kind === 'box') return { from, to, options };
  if (to.kind === 'box') return { from, to, options };
  return faults.add('destination', 'or the source must be in a box: BOX:PATH');
};
