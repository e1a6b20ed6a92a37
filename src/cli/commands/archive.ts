import { resolve } from 'node:path';
import { Command } from 'commander';
import { keyRingOf } from '../audit-run.ts';
import { FlagFaults } from '../flag-values.ts';
import { repeatable, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { momentValue } from '../moment-value.ts';
import { grouped } from '../progress-bar.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { ArchivedPart, ServerCommands } from '../server-commands.ts';
import { inRun } from '../session.ts';
import { visible } from '../visible.ts';
import { addDatabaseFlags, serveOptions } from './serve.ts';

interface ArchiveFlags extends ServeFlags {
  readonly before: string;
  readonly to?: string;
  readonly key?: readonly string[];
  readonly dryRun?: boolean;
}

export const archiveCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('archive')
        .description(
          'move what is old out of the database, into files that are verified first; as the owner of the log',
        )
        .requiredOption(
          '--before <time|checkpoint>',
          'only what was signed before a time (2026-11-25T12:00:00Z, or so long ago: 90d), or before a checkpoint (its number)',
        )
        .option('--to <dir>', 'directory for the files (default archives in the data dir)')
        .option(
          '--key <file>',
          'verify by this public key, not those that the log names; repeatable',
          repeatable,
        )
        .option('--dry-run', 'only say what would be moved'),
    ).action((flags: ArchiveFlags) =>
      inRun(io, flags.json === true, async ({ output, json, signal }) => {
        const faults = new FlagFaults();
        const moment = momentValue(faults, '--before', flags.before, Date.now());
        faults.check('archive');
        if (moment === undefined) return undefined;
        const dryRun = flags.dryRun === true;
        const say = (part: ArchivedPart) =>
          json ? output.json({ archived: !dryRun, ...part }) : output.line(partText(part, dryRun));
        const { directory, parts, stays } = await server.archive(
          await serveOptions(flags, io),
          {
            before: typeof moment === 'bigint' ? { sequence: Number(moment) } : { time: moment },
            directory: flags.to === undefined ? undefined : resolve(io.workingDir, flags.to),
            keys: await keyRingOf(io, flags.key ?? []),
            dryRun,
            archived: say,
          },
          signal,
        );
        if (dryRun) for (const part of parts) await say(part);
        if (json) await output.json({ directory, archives: parts.length, stays });
        else await output.line(summaryText(directory, parts.length, stays, dryRun));
        return 0;
      }),
    ),
    'boxledger archive --before 90d --dry-run',
    'boxledger archive --before 90d --to /mnt/archives',
  );

const partText = ({ file, events, fromSequence, toSequence }: ArchivedPart, dryRun: boolean): string =>
  `${dryRun ? 'would move' : 'moved'} ${grouped(events)} events of checkpoints ${fromSequence} to ${toSequence} to ${visible(file)}`;

const summaryText = (directory: string, count: number, stays: string, dryRun: boolean): string =>
  [
    count === 0
      ? 'There is nothing to archive.'
      : `${dryRun ? 'They would be' : 'They are'} in ${visible(directory)}; keep them: the database has them no longer.`,
    `What stays: ${visible(stays)}.`,
  ].join('\n');
