import { access, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { sha256Of, writeArchive } from '../audit/archive-file.ts';
import { checkpointHash, type SignedCheckpoint } from '../audit/checkpoint.ts';
import { ExportFile } from '../audit/export-file.ts';
import { exportLines } from '../audit/export-lines.ts';
import type { KeyRing } from '../audit/public-keys.ts';
import { rangeExtract } from '../audit/range-extract.ts';
import { verifyLog } from '../audit/verify-log.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { advisoryLocks } from './advisory-locks.ts';
import { dropArchived } from './archive-drop.ts';
import { type ArchivePlan, type ArchiveUnit, type Before, planArchives } from './archive-plan.ts';
import { withConnection } from './database.ts';
import { PostgresAuditLog } from './postgres-audit-log.ts';
import { readStandingOn } from './roles.ts';
import { statement } from './statement.ts';

export interface ArchiveOptions {
  readonly before: Before;
  /** Absolute. Made when it is not there. */
  readonly directory: string;
  /** Keys to verify by; undefined: those that the log names. */
  readonly keys?: KeyRing | undefined;
  /** Only the plan. */
  readonly dryRun?: boolean | undefined;
  /** Told of each archive once it has left the database. */
  readonly onArchived?: ((unit: ArchiveUnit) => Promise<void>) | undefined;
  readonly crash: CrashProbe;
  readonly signal: AbortSignal;
}

const checkpointsFrom = statement('checkpoints-from');

/**
 * Moves what is old out of the database: each time a compressed export of exactly what leaves is written, read from the disk
 * again and verified, and only then the partitions go. Cut short at any point, the next run goes on: a draft is
 * overwritten, a file that is there is verified and used. One process at a time.
 */
export const archive = async (databaseUrl: string, options: ArchiveOptions): Promise<ArchivePlan> => {
  try {
    return await withConnection(databaseUrl, (client) => archiveOn(client, databaseUrl, options));
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  }
};

const archiveOn = async (
  client: pg.Client,
  databaseUrl: string,
  options: ArchiveOptions,
): Promise<ArchivePlan> => {
  await becomeOwner(client);
  if (options.dryRun === true) return planArchives(client, options.before);
  const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS locked', [advisoryLocks.archiving]);
  if (rows[0]?.locked !== true)
    throw new BoxledgerError('InvalidState', 'another archive or rebuild is under way', {
      help: 'Run boxledger archive again when it has ended.',
    });
  await onDisk(options.directory, () => mkdir(options.directory, { recursive: true, mode: 0o700 }));
  const plan = await planArchives(client, options.before);
  for (const unit of plan.units) {
    await archiveUnit(client, databaseUrl, unit, options);
    await options.onArchived?.(unit);
  }
  return plan;
};

/** Tables are made and dropped as the log's owner, so that what takes the place of a partition belongs to him as well. */
const becomeOwner = async (client: pg.ClientBase): Promise<void> => {
  const { role, isSuperuser, ownsLog } = await readStandingOn(client);
  if (!isSuperuser && !ownsLog)
    throw new BoxledgerError('PermissionDenied', `${role} may not take anything out of the log`, {
      help: 'Archive as the owner of the log or as a superuser: give their --database-url.',
      details: { role },
    });
  const { rows } = await client.query(
    "SELECT quote_ident(pg_get_userbyid(relowner)) AS owner FROM pg_class WHERE oid = 'boxledger.events'::regclass",
  );
  await client.query(`SET ROLE ${rows[0]?.owner}`);
};

const archiveUnit = async (
  client: pg.ClientBase,
  databaseUrl: string,
  unit: ArchiveUnit,
  { directory, keys, crash, signal }: ArchiveOptions,
): Promise<void> => {
  const file = join(directory, unit.file);
  await onDisk(file, () => rm(`${file}.tmp`, { force: true })); // of a run that was cut short
  if (!(await isThere(file))) {
    await onDisk(file, () => writeUnit(databaseUrl, file, unit, crash, signal));
    crash('archive.written', 'archive');
  }
  const sha256 = await onDisk(file, () => verified(client, file, unit, keys, signal));
  crash('archive.verified', 'archive');
  await dropArchived(client, unit, sha256, signal);
  crash('archive.dropped', 'archive');
};

/** What goes wrong with a file is not the database's failure. */
const onDisk = async <Result>(file: string, work: () => Promise<Result>): Promise<Result> => {
  try {
    return await work();
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined || !/^(E[A-Z]+|Z_[A-Z_]+)$/.test(errno)) throw cause;
    throw new BoxledgerError('InvalidState', `${file} cannot be written (${errno})`, {
      help: 'Nothing has left the database for it. Run boxledger archive again, or give another directory by --to.',
      cause,
    });
  }
};

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** By a connection of its own, whose snapshot ends with it. */
const writeUnit = async (
  databaseUrl: string,
  file: string,
  { fromSequence, last: { sequence } }: ArchiveUnit,
  crash: CrashProbe,
  signal: AbortSignal,
): Promise<void> => {
  const source = await PostgresAuditLog.open(databaseUrl);
  try {
    const scope = { streamId: null, fromSequence, toSequence: sequence };
    const parts = rangeExtract(source, fromSequence, sequence);
    await writeArchive(file, probed(exportLines(scope, await source.keyList(), parts), crash), signal);
  } finally {
    await source.close();
  }
};

async function* probed(texts: AsyncIterable<string>, crash: CrashProbe): AsyncGenerator<string> {
  for await (const text of texts) {
    yield text;
    crash('archive.writing', 'archive');
  }
}

/**
 * The SHA-256 of the file, after it was read from the disk and found to be whole, unchanged, and this part of this log: its last
 * checkpoint, which all before are chained to, is the one that the database has.
 */
const verified = async (
  client: pg.ClientBase,
  file: string,
  { fromSequence, last, events }: ArchiveUnit,
  keys: KeyRing | undefined,
  signal: AbortSignal,
): Promise<string> => {
  const sha256 = await sha256Of(file);
  const log = await ExportFile.open(file);
  const verdict = await verifyLog(log, { keys, signal });
  const { rows } = await client.query<SignedCheckpoint>(checkpointsFrom.text, [last.sequence, 1]);
  const isOurs =
    log.scope.streamId === null &&
    log.fromSequence === fromSequence &&
    rows[0] !== undefined &&
    verdict.last?.hash === checkpointHash(rows[0]) &&
    verdict.events === events &&
    verdict.unsealed === 0;
  const [finding] = verdict.findings;
  if (isOurs && finding === undefined && sha256 === (await sha256Of(file))) return sha256;
  throw new BoxledgerError(
    'InvalidState',
    `${file} is not what is to leave the database, which is left as it is`,
    {
      help:
        finding === undefined
          ? 'Another file has its name: move it away, and run boxledger archive again.'
          : `It was found ${finding.kind}: ${finding.detail}. Move it away and run boxledger archive again; boxledger audit verify says whether the database is right.`,
      details: { file },
    },
  );
};
