import { Command } from 'commander';
import type { AuditSource } from '../../audit/audit-source.ts';
import { type ExportScope, exportLines } from '../../audit/export-lines.ts';
import type { LogPart } from '../../audit/log-parts.ts';
import { rangeExtract } from '../../audit/range-extract.ts';
import { streamExtract } from '../../audit/stream-extract.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { withSource, writeTo } from '../audit-run.ts';
import { FlagFaults, numberValue } from '../flag-values.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { ServerCommands } from '../server-commands.ts';
import { inRun } from '../session.ts';
import { addDatabaseFlags } from './serve.ts';

interface ExportFlags extends ServeFlags {
  readonly out?: string;
  readonly box?: string;
  readonly from?: string;
  readonly to?: string;
}

export const auditExportCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('export')
        .description('write the log with its checkpoints and public keys, to be verified without a database')
        .option('-o, --out <file>', 'file to write (else standard output)')
        .option('--box <box>', 'only this box (name or id) or stream, each event with its proof')
        .option('--from <n>', 'only from this checkpoint on')
        .option('--to <n>', 'only up to this checkpoint'),
    ).action((flags: ExportFlags) =>
      inRun(io, flags.json === true, async (run) => {
        const range = rangeOf(flags);
        await withSource(io, server, flags, async (source) => {
          if (flags.box === undefined) await refuseArchived(source, range);
          const { scope, parts } = await selected(source, flags.box, range);
          await writeTo(run, flags.out, exportLines(scope, await source.keyList(), parts));
        });
        return 0;
      }),
    ),
    'boxledger audit export --out export.ndjson',
    'boxledger audit export --box web > web.ndjson',
  );

interface Range {
  readonly from: number;
  readonly to: number | null;
}

const rangeOf = ({ from, to, box }: ExportFlags): Range => {
  const faults = new FlagFaults();
  const first = numberValue(faults, '--from', from, { whole: true, min: 1 }) ?? 1;
  const last = numberValue(faults, '--to', to, { whole: true, min: first }) ?? null;
  if (box !== undefined && (from !== undefined || to !== undefined))
    faults.add('--box', 'is exported whole, without --from and --to');
  faults.check('audit export');
  return { from: first, to: last };
};

/** What has left the database is an export already. */
const refuseArchived = async (source: AuditSource, { from }: Range): Promise<void> => {
  const last = (await source.archives()).at(-1);
  if (last === undefined || from > last.toSequence) return;
  throw new BoxledgerError('InvalidState', `checkpoints up to ${last.toSequence} have left the database`, {
    help: `The archives are exports of them, the last is ${last.file}; export the rest with --from ${last.toSequence + 1}.`,
    details: { archive: last.file },
  });
};

const selected = async (
  source: AuditSource,
  box: string | undefined,
  { from, to }: Range,
): Promise<{ scope: ExportScope; parts: AsyncIterable<LogPart> }> => {
  const scope = { streamId: null, fromSequence: from, toSequence: to };
  if (box !== undefined) {
    const streamId = await source.findStream(box);
    return { scope: { ...scope, streamId }, parts: streamExtract(source, streamId) };
  }
  return { scope, parts: from === 1 && to === null ? source.parts() : rangeExtract(source, from, to) };
};
