import { Command } from 'commander';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { ServerCommands } from '../server-commands.ts';
import { auditExportCommand } from './audit-export.ts';
import { auditKeysCommand, auditStatusCommand } from './audit-keys.ts';
import { auditCheckProofCommand, auditProveCommand } from './audit-prove.ts';
import { auditVerifyCommand } from './audit-verify.ts';

/** Everything by which somebody can convince himself, or others, that the log is as it was written. */
export const auditCommand = (io: CliIo, server: ServerCommands): Command => {
  const command = new Command('audit').description(
    'prove that the log is as it was written, or find what is not',
  );
  for (const part of [
    auditVerifyCommand(io, server),
    auditExportCommand(io, server),
    auditProveCommand(io, server),
    auditCheckProofCommand(io),
    auditKeysCommand(io, server),
    auditStatusCommand(io, server),
  ])
    command.addCommand(part);
  return withExamples(command, 'boxledger audit verify', 'boxledger audit status');
};
