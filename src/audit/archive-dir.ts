import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ArchiveRecord } from './archive-record.ts';
import { unreadable } from './bounded-lines.ts';
import { ExportFile } from './export-file.ts';

const suffix = '.ndjson.gz';

/** What an archive of these checkpoints is called: in the order of names, archives are in the order of the log. */
export const archiveName = (fromSequence: number, toSequence: number): string =>
  `boxledger-${padded(fromSequence)}-${padded(toSequence)}${suffix}`;

const padded = (sequence: number) => String(sequence).padStart(10, '0');

/** The archives that the directories hold, by their names, from the log's beginning on. */
export const archivesIn = async (
  directories: readonly string[],
): Promise<ReadonlyMap<string, ExportFile>> => {
  const found = new Map<string, ExportFile>();
  for (const directory of directories) {
    const names = await readdir(directory).catch((cause) => {
      throw unreadable(directory, cause);
    });
    for (const name of names.filter((one) => one.startsWith('boxledger-') && one.endsWith(suffix)))
      found.set(name, await ExportFile.open(join(directory, name)));
  }
  return new Map([...found].sort(([, a], [, b]) => a.fromSequence - b.fromSequence));
};

/** Of what has left the database, what was given. An archive that was given must be of this part of the log. */
export const matchArchives = (
  records: readonly ArchiveRecord[],
  given: ReadonlyMap<string, ExportFile>,
): ReadonlyMap<number, ExportFile> => {
  const matched = new Map<number, ExportFile>();
  for (const { number, file, fromSequence, toSequence } of records) {
    const found = given.get(file);
    if (found === undefined) continue;
    if (found.fromSequence !== fromSequence || found.toSequence !== toSequence)
      throw new BoxledgerError('InvalidArgument', `${file} is not the archive that this log names so`, {
        help: `It should hold checkpoints ${fromSequence} to ${toSequence}, and holds ${found.fromSequence} to ${found.toSequence}.`,
      });
    matched.set(number, found);
  }
  return matched;
};
