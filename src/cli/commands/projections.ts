import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type Projection, projections } from '../../events/projections.ts';
import type { JsonValue } from '../../kernel/json.ts';
import { exitCodes } from '../exit-codes.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { numberJson } from '../json-values.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { PreviewFinding, ServerCommands } from '../server-commands.ts';
import { inRun } from '../session.ts';
import { visible } from '../visible.ts';
import { addDatabaseFlags, serveOptions } from './serve.ts';

interface RebuildFlags extends ServeFlags {
  readonly projection?: Projection;
}

export const rebuildCommand = (io: CliIo, server: ServerCommands): Command => {
  const command = new Command('rebuild')
    .description('make what is derived again from the log, while the service runs')
    .addOption(new Option('--projection <name>', 'only one of them (default: all)').choices(projections));
  addDatabaseFlags(command).action((flags: RebuildFlags) =>
    inRun(io, flags.json === true, async ({ output, json, signal, counted }) => {
      const options = await serveOptions(flags, io);
      const only = flags.projection;
      const { streams } = await counted('Folding streams', (folded) =>
        server.rebuild(options, { only, folded }, signal),
      );
      const names = only === undefined ? [...projections] : [only];
      if (json) await output.json({ projections: names, streams });
      else await output.line(`Made ${names.join(' and ')} again from ${streams} streams.`);
      return 0;
    }),
  );
  return withExamples(command, 'boxledger rebuild', 'boxledger rebuild --projection boxes');
};

interface PreviewFlags extends ServeFlags {
  readonly against?: string;
  readonly machine?: string;
}

export const previewCommand = (io: CliIo, server: ServerCommands): Command => {
  const command = new Command('preview')
    .description(
      'what this version would make of every live box; changes nothing, and exits with 1 if any differs',
    )
    .option('--against <url>', 'the database of the version that serves now (as --database-url)')
    .option(
      '--machine <file>',
      'a JavaScript module that exports another boxAggregate, in place of this version',
    );
  addDatabaseFlags(command).action(({ against, machine, ...flags }: PreviewFlags) =>
    inRun(io, flags.json === true, async ({ output, json, signal }) => {
      const databaseUrl = against ?? flags.databaseUrl;
      const options = await serveOptions(databaseUrl === undefined ? flags : { ...flags, databaseUrl }, io);
      const asked = {
        machine: machine === undefined ? undefined : resolve(io.workingDir, machine),
        report: (finding: PreviewFinding) =>
          json ? output.json(findingJson(finding)) : output.line(findingText(finding)),
      };
      const { boxes, differing, otherChart } = await server.preview(options, asked, signal);
      if (json) await output.json({ boxes, differing, otherChart });
      else await output.line(summaryText(boxes, differing, otherChart));
      return differing === 0 ? 0 : exitCodes.findings;
    }),
  );
  return withExamples(
    command,
    'boxledger preview --against postgres://localhost/boxledger',
    'boxledger preview --machine ./next-box.js',
  );
};

const summaryText = (boxes: number, differing: number, otherChart: number): string =>
  [
    `Looked at ${boxes} live box${boxes === 1 ? '' : 'es'}: ${differing === 0 ? 'none' : differing} would be another.`,
    ...(otherChart === 0
      ? []
      : [`Heads made by another statechart, which are folded afresh when used: ${otherChart}.`]),
  ].join('\n');

const findingText = (finding: PreviewFinding): string => {
  const heading = `${visible(finding.name)} (${visible(finding.boxId)}, version ${finding.version})`;
  if (finding.kind === 'unfoldable') return `${heading}\n  cannot be folded: ${visible(finding.problem)}`;
  const text = (value: JsonValue | undefined) =>
    visible(value === undefined ? 'nothing' : JSON.stringify(value));
  const lines = finding.changes.map(
    ({ path, before, after }) => `  ${visible(path)}: ${text(before)} → ${text(after)}`,
  );
  return [heading, ...lines].join('\n');
};

const findingJson = (finding: PreviewFinding): JsonValue => {
  const { boxId, name, version, kind } = finding;
  const box = { boxId, name, version: numberJson(version), kind };
  if (finding.kind === 'unfoldable') return { ...box, problem: finding.problem };
  return {
    ...box,
    changes: finding.changes.map(({ path, before, after }) => ({
      path,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
  };
};
