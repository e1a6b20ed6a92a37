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

/** What is asked for has left the database. `details.archive`: the file that it ends in. */
export const archivedError = (what: string, file: string): BoxledgerError =>
  new BoxledgerError(
    'InvalidState',
    `${what}: has left the database for archives, the last of them ${file}`,
    {
      help: 'Read it from there with --archive DIR: `boxledger events` and `boxledger audit verify` do.',
      details: { archive: file },
    },
  );
