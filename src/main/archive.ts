import { join } from 'node:path';
import type { ServeOptions } from '../cli/serve-options.ts';
import type { ArchiveAsked, ArchivedPart, ArchiveOutcome } from '../cli/server-commands.ts';
import type { ArchiveUnit } from '../store/archive-plan.ts';
import { archive } from '../store/archiving.ts';
import { crashProbeOf } from './crash-probe.ts';
import { logDatabase } from './log-database.ts';
import { serviceLog } from './service-log.ts';
import { Teardown } from './teardown.ts';

/** Moves what is old out of the database, whether a server is running on it or not. */
export const archiveLog = async (
  options: ServeOptions,
  { before, directory = join(options.dataDir, 'archives'), keys, dryRun, archived }: ArchiveAsked,
  signal: AbortSignal,
): Promise<ArchiveOutcome> => {
  const log = serviceLog(options.logLevel);
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    const url = await logDatabase(options, log, teardown);
    const { units, stays } = await archive(url, {
      before,
      directory,
      keys,
      dryRun,
      onArchived: (unit) => archived(partOf(unit)),
      crash: crashProbeOf(process.env['BOXLEDGER_CRASH_AT']),
      signal,
    });
    return { directory, parts: units.map(partOf), stays };
  } finally {
    await teardown.run();
  }
};

const partOf = ({ file, events, fromSequence, last }: ArchiveUnit): ArchivedPart => ({
  file,
  events,
  fromSequence,
  toSequence: last.sequence,
});
