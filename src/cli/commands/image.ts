import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { byteText } from '../byte-text.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { HostImage, ServerCommands } from '../server-commands.ts';
import { inRun } from '../session.ts';
import { table } from '../table.ts';
import { addDatabaseFlags, serveOptions } from './serve.ts';

interface BuildFlags extends ServeFlags {
  readonly base?: string;
  readonly from?: string;
  readonly kernel?: string;
}

/** What the machines of this host are made of. */
export const imageCommand = (io: CliIo, server: ServerCommands): Command => {
  const command = new Command('image').description(
    'make and list the images that machines start from (driver qemu)',
  );
  for (const part of [buildCommand(io, server), listCommand(io, server), removeCommand(io, server)])
    command.addCommand(part);
  return withExamples(command, 'boxledger image build', 'boxledger image ls');
};

const buildCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('build')
        .description('make an image, which new boxes get from then on; the same inputs make the same one')
        .addOption(
          new Option('--base <kind>', 'what boxes find in it besides Node')
            .choices(['busybox', 'debian'])
            .default('busybox'),
        )
        .option('--from <path>', 'directory or tar archive with a root file system, in place of a base')
        .option(
          '--kernel <file>',
          'Debian package with a kernel for cloud machines (default: fetched by apt)',
        ),
    ).action((flags: BuildFlags) =>
      inRun(io, flags.json === true, async ({ output, json, progress }) => {
        const absolute = (path: string | undefined) => path && resolve(io.workingDir, path);
        const base = flags.base === 'debian' ? ('debian' as const) : ('busybox' as const);
        const asked = { base, from: absolute(flags.from), kernelPackage: absolute(flags.kernel) };
        const options = await serveOptions(flags, io);
        const image = await progress('Building', server.images.build(options, asked));
        if (json) await output.json(imageJson(image));
        else await output.line(image.digest);
      }),
    ),
    'boxledger image build',
    'boxledger image build --base debian',
    'boxledger image build --from rootfs.tar',
  );

const listCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(new Command('ls').description('list the images on this host')).action(
      (flags: ServeFlags) =>
        inRun(io, flags.json === true, async ({ output, json }) => {
          const images = await server.images.list(await serveOptions(flags, io));
          if (json) for (const image of images) await output.json(imageJson(image));
          else
            await output.line(
              table(['IMAGE', 'KERNEL', 'AGENT', 'SIZE', 'NEW BOXES', 'DISKS'], images.map(row)),
            );
        }),
    ),
    'boxledger image ls',
  );

const removeCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('rm')
        .description('remove an image that no disk stands on')
        .argument('<image>', 'its digest'),
    ).action((digest: string, flags: ServeFlags) =>
      inRun(io, flags.json === true, async ({ output, json }) => {
        await server.images.remove(await serveOptions(flags, io), digest);
        if (json) await output.json({ removed: digest });
        else await output.line(digest);
      }),
    ),
    `boxledger image rm sha256-${'0'.repeat(64)}`,
  );

const row = ({ digest, kernelVersion, agentVersion, bytes, isCurrent, disks }: HostImage) => [
  digest,
  kernelVersion,
  agentVersion,
  byteText(bytes),
  isCurrent ? 'yes' : 'no',
  String(disks),
];

const imageJson = (image: HostImage) => ({ ...image });
