import { resolve } from 'node:path';
import { Command } from 'commander';
import type { AuditSource } from '../../audit/audit-source.ts';
import { ExportFile } from '../../audit/export-file.ts';
import { KeyRing } from '../../audit/public-keys.ts';
import { streamExtract } from '../../audit/stream-extract.ts';
import type { Verdict } from '../../audit/verdict.ts';
import { verifyLog } from '../../audit/verify-log.ts';
import { verifyStream } from '../../audit/verify-stream.ts';
import { checkpointIn, keyRingOf, withSource } from '../audit-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { FlagFaults } from '../flag-values.ts';
import { repeatable, withExamples } from '../flags.ts';
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
}

export const auditVerifyCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('verify')
        .description('check every hash, checkpoint and signature; exit 1 if anything was changed')
        .argument('[box]', 'only this box (name or id), or a stream: box/…, exec/… or host/…')
        .option('--file <export>', 'an export instead of a database')
        .option('--key <file>', 'trust this public key, not those that the log names; repeatable', repeatable)
        .option('--expect <file>', 'a checkpoint that was kept elsewhere: the log must still hold it'),
    ).action((box: string | undefined, flags: VerifyFlags) =>
      inRun(io, flags.json === true, (run) => verify(run, server, box, flags)),
    ),
    'boxledger audit verify',
    'boxledger audit verify --expect /mnt/elsewhere/checkpoint-0000000042.json --key operator.pub',
    'boxledger audit verify --file export.ndjson --key operator.pub',
  );

const verify = async (run: Run, server: ServerCommands, box: string | undefined, flags: VerifyFlags) => {
  const { io, json, output } = run;
  const faults = new FlagFaults();
  if (box !== undefined && flags.file !== undefined) faults.add('--file', 'cannot be had with a box');
  if (box !== undefined && flags.expect !== undefined) faults.add('--expect', 'is about the whole log');
  faults.check('audit verify');
  const keys = await keyRingOf(io, flags.key ?? []);
  const expect = flags.expect === undefined ? undefined : await checkpointIn(io, flags.expect);
  const verdict =
    flags.file !== undefined
      ? await verifyFile(run, flags.file, { keys, expect })
      : await withSource(io, server, flags, (source) =>
          box === undefined ? verifyWhole(run, source, { keys, expect }) : verifyBox(run, source, box, keys),
        );
  if (json) await output.json(verdictJson(verdict));
  else for (const line of verdictLines(verdict)) await output.line(line);
  return verdict.findings.length === 0 ? 0 : exitCodes.findings;
};

type Given = Pick<NonNullable<Parameters<typeof verifyLog>[1]>, 'keys' | 'expect'>;

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
