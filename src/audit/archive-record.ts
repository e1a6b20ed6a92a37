import { BoxledgerError } from '../kernel/errors.ts';
import type { Place } from './place.ts';

/** What the database keeps of a part of the log that has left it: the file that holds it, and which part that is. */
export interface ArchiveRecord {
  /** 1, 2, …; each goes on where the one before ends. */
  readonly number: number;
  /** Name of the file, without its directory. */
  readonly file: string;
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  readonly events: number;
  readonly fromSequence: number;
  readonly toSequence: number;
  /** The place of its last event. */
  readonly to: Place;
}

/**
 * What is asked for has left the database. `details.archive`: the file that it ends in; of the log itself the file that comes
 * next, and `details.cursor` from where on the database has it.
 */
export const archivedError = (what: string, file: string, cursor?: string): BoxledgerError => {
  const help = 'Read it from there with --archive DIR: `boxledger events` and `boxledger audit verify` do.';
  return new BoxledgerError('InvalidState', `${what} has left the database: it is in the archive ${file}`, {
    help: cursor === undefined ? help : `${help} From cursor ${cursor} on it is here.`,
    details: { archive: file, ...(cursor === undefined ? {} : { cursor }) },
  });
};
