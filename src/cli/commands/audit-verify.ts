import { resolve } from 'node:path';
import { Command } from 'commander';
import { archivesIn, matchArchives } from '../../audit/archive-dir.ts';
import type { AuditSource } from '../../audit/audit-source.ts';
import { ExportFile } from '../../audit/export-file.ts';
import { LogWithArchives } from '../../audit/log-with-archives.ts';
import { KeyRing } from '../../audit/public-keys.ts';
import { streamExtract } from '../../audit/stream-extract.ts';
import type { Verdict } from '../../audit/verdict.ts';
import { verifyLog } from '../../audit/verify-log.ts';
import { verifyStream } from '../../audit/verify-stream.ts';
import { checkpointIn, keyRingOf, withSource } from '../audit-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { FlagFaults } from '../flag-values.ts';
import { repeatable, streamNames, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { grouped, ProgressBar } from '../progress-bar.ts';
import { verdictJson, verdictLines } from '../render-audit.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { ServerCommands } from '../server-commands.ts';
import { inRun, type Run } from '../session.ts';
import { addDatabaseFlags } from './serve.ts';

interface VerifyFlags extends ServeFlags {
  readonly file?: string;
  readonly key?: readonly string[];
  readonly expect?: string;
  readonly archive?: readonly string[];
  readonly withoutArchives?: boolean;
}

export const auditVerifyCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('verify')
        .description(
          'check every hash, checkpoint and signature; exit 1 if anything was changed, 2 if archives were not given',
        )
        .argument('[box]', `only this box (name or id), or a stream: ${streamNames}`)
        .option('--file <export>', 'an export instead of a database')
        .option('--key <file>', 'trust this public key, not those that the log names; repeatable', repeatable)
        .option(
          '--archive <dir>',
          'also read what has left the database, from the files in this directory; repeatable',
          repeatable,
        )
        .option('--without-archives', 'be content with what is in the database, and exit with 0 all the same')
        .option('--expect <file>', 'a checkpoint that was kept elsewhere: the log must still hold it'),
    ).action((box: string | undefined, flags: VerifyFlags) =>
      inRun(io, flags.json === true, (run) => verify(run, server, box, flags)),
    ),
    'boxledger audit verify',
    'boxledger audit verify --archive /mnt/archives',
    'boxledger audit verify --expect /mnt/elsewhere/checkpoint-0000000042.json --key operator.pub',
    'boxledger audit verify --file export.ndjson --key operator.pub',
  );

const verify = async (run: Run, server: ServerCommands, box: string | undefined, flags: VerifyFlags) => {
  const { io, json, output } = run;
  const faults = new FlagFaults();
  if (box !== undefined && flags.file !== undefined) faults.add('--file', 'cannot be had with a box');
  if (box !== undefined && flags.expect !== undefined) faults.add('--expect', 'is about the whole log');
  const archives = flags.archive ?? [];
  if (archives.length > 0 && (box !== undefined || flags.file !== undefined))
    faults.add('--archive', 'is about the whole log in a database');
  faults.check('audit verify');
  const keys = await keyRingOf(io, flags.key ?? []);
  const expect = flags.expect === undefined ? undefined : await checkpointIn(io, flags.expect);
  const verdict =
    flags.file !== undefined
      ? await verifyFile(run, flags.file, { keys, expect })
      : await withSource(io, server, flags, (source) =>
          box === undefined
            ? verifySource(run, source, archives, { keys, expect })
            : verifyBox(run, source, box, keys),
        );
  if (json) await output.json(verdictJson(verdict));
  else for (const line of verdictLines(verdict)) await output.line(line);
  if (verdict.findings.length > 0) return exitCodes.findings;
  return verdict.archived.files.length > 0 && flags.withoutArchives !== true ? exitCodes.notWhole : 0;
};

type Given = Pick<NonNullable<Parameters<typeof verifyLog>[1]>, 'keys' | 'expect'>;

/** The log in a database, with what has left it as far as that was given. */
const verifySource = async (
  run: Run,
  source: AuditSource,
  directories: readonly string[],
  given: Given,
): Promise<Verdict> => {
  const records = await source.archives();
  const files = await archivesIn(directories.map((directory) => resolve(run.io.workingDir, directory)));
  return verifyWhole(run, new LogWithArchives(source, records, matchArchives(records, files)), given);
};

const verifyWhole = async (
  { io, json, signal }: Run,
  log: Parameters<typeof verifyLog>[0],
  given: Given,
): Promise<Verdict> => {
  const bar = new ProgressBar(io.stderr, (count) => `${grouped(count)} events`, !json);
  try {
    return await verifyLog(log, {
      ...given,
      signal,
      onProgress: (share, events) => bar.update(share, events),
    });
  } finally {
    bar.end();
  }
};

const verifyFile = async (run: Run, name: string, given: Given): Promise<Verdict> => {
  const file = await ExportFile.open(resolve(run.io.workingDir, name));
  if (file.scope.streamId === null) return verifyWhole(run, file, given);
  const keys = given.keys ?? new KeyRing(await file.keys(), false);
  const verdict = await verifyStream(file.parts(), { keys, signal: run.signal });
  const { cut } = file;
  if (cut === undefined) return verdict;
  const finding = { kind: 'truncated', event: null, checkpoint: null, detail: cut } as const;
  return { ...verdict, findings: [...verdict.findings, finding] };
};

const verifyBox = async ({ signal }: Run, source: AuditSource, box: string, given: KeyRing | undefined) => {
  const keys = given ?? new KeyRing(await source.keys(), false);
  const streamId = await source.findStream(box);
  const strayHeads = await source.strayHeadsOf(streamId);
  return verifyStream(streamExtract(source, streamId), { keys, strayHeads, signal });
};
