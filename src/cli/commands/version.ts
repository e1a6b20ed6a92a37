import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { inRun } from '../session.ts';

/** Version of this package: package.json lies two directories above, in the sources and in what is built of them. */
export const packageVersion = (): string => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version; // our own file, and npm asks for the field
};

export const versionCommand = (io: CliIo): Command =>
  withExamples(
    new Command('version')
      .description('print the version of this client')
      .option('--json', 'print JSON')
      .action((flags: { readonly json?: boolean }) =>
        inRun(io, flags.json === true, async ({ output, json }) => {
          const version = packageVersion();
          if (json) await output.json({ version, node: process.version });
          else await output.line(`boxledger ${version}`);
          return 0;
        }),
      ),
    'boxledger version',
  );
