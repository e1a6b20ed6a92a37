import { Command } from 'commander';
import { addConnectionFlags, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { processJson, processTable } from '../render-metrics.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

export const topCommand = (io: CliIo): Command => {
  const command = new Command('top')
    .description('the processes of a box; empty when it does not run')
    .argument('<box>', 'name, id or prefix');
  addConnectionFlags(command).action((box: string, flags: ConnectionFlags) => top(io, box, flags));
  return withExamples(command, 'boxledger top web');
};

const top = (io: CliIo, box: string, flags: ConnectionFlags) =>
  inSession(io, flags, {
    name: 'top',
    read: () => undefined,
    work: async ({ client, signal, json, output }) => {
      const processes = await client.processes(box, { signal });
      if (json) for (const process of processes) await output.json(processJson(process));
      else await output.line(processTable(processes));
      return 0;
    },
  });
