import { Command } from 'commander';
import { withSource } from '../audit-run.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { keyTable, statusJson, statusLines } from '../render-audit.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { ServerCommands } from '../server-commands.ts';
import { inRun } from '../session.ts';
import { addDatabaseFlags } from './serve.ts';

export const auditKeysCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('keys').description('list the public keys that have signed, each with its checkpoints'),
    ).action((flags: ServeFlags) =>
      inRun(io, flags.json === true, async ({ json, output }) => {
        const keys = await withSource(io, server, flags, (source) => source.keyList());
        if (json) for (const key of keys) await output.json({ ...key });
        else await output.line(keyTable(keys));
        return 0;
      }),
    ),
    'boxledger audit keys --json',
  );

export const auditStatusCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('status').description('say how far the log is signed, and how far each sink has got'),
    ).action((flags: ServeFlags) =>
      inRun(io, flags.json === true, async ({ json, output }) => {
        const [status, keys] = await withSource(io, server, flags, async (source) => [
          await source.status(),
          await source.keyList(),
        ]);
        if (json) await output.json(statusJson(status, keys));
        else for (const line of statusLines(status)) await output.line(line);
        return 0;
      }),
    ),
    'boxledger audit status',
  );
