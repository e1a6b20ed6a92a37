import { Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { Finding, ServerCommands } from '../server-commands.ts';
import { inRun } from '../session.ts';
import { visible } from '../visible.ts';
import { addDatabaseFlags, addServerFlags, serveOptions } from './serve.ts';

export const migrateCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('migrate').description("bring the database's schema up to date; serve does so by itself"),
    ).action((flags: ServeFlags) =>
      inRun(io, flags.json === true, async ({ output, json, signal, progress }) => {
        const options = await serveOptions(flags, io);
        const applied = await progress('Migrating', server.migrate(options, signal));
        if (json) await output.json({ applied });
        else if (applied.length === 0) await output.line('The schema is up to date.');
        else for (const name of applied) await output.line(`applied ${visible(name)}`);
        return 0;
      }),
    ),
    'boxledger migrate --database-url postgres://localhost/boxledger',
  );

export const doctorCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addServerFlags(
      new Command('doctor').description(
        'say what this machine can do and what it lacks; exit 1 if something fails',
      ),
    ).action((flags: ServeFlags) =>
      inRun(io, flags.json === true, async ({ output, json, signal, progress }) => {
        const options = await serveOptions(flags, io);
        const findings = await progress('Looking', server.doctor(options, signal));
        for (const finding of findings) {
          if (json) await output.json({ ...finding, help: finding.help ?? null });
          else await output.line(findingText(finding));
        }
        return findings.some(({ status }) => status === 'failure') ? exitCodes.findings : 0;
      }),
    ),
    'boxledger doctor',
    'boxledger doctor --json',
  );

const marks = { ok: 'ok     ', warning: 'warning', failure: 'FAILURE' } as const;

const findingText = ({ name, status, detail, help }: Finding): string =>
  [
    `${marks[status]}  ${visible(name)}: ${visible(detail)}`,
    ...(help === undefined ? [] : [`         ${visible(help)}`]),
  ].join('\n');
