import { readFile } from 'node:fs/promises';
import { type Argument, Command } from 'commander';
import { connect } from '../../sdk/client.ts';
import { discoverServer } from '../../sdk/discover.ts';
import { meantBy } from '../completed-words.ts';
import { FlagFaults } from '../flag-values.ts';
import { withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { inRun } from '../session.ts';

const shells = ['bash', 'zsh', 'fish'];

export const completionCommand = (io: CliIo): Command => {
  const command = new Command('completion')
    .description('print what makes a shell complete commands, options and names of boxes')
    .argument('<shell>', shells.join(', '))
    .option('--json', 'print JSON: one object with the script in it');
  command.action((shell: string, flags: { readonly json?: boolean }) =>
    inRun(io, flags.json === true, async ({ json, output }) => {
      const faults = new FlagFaults();
      if (!shells.includes(shell))
        faults.add('<shell>', `must be one of ${shells.join(', ')}, not ${JSON.stringify(shell)}`);
      faults.check('completion');
      const script = new URL(`../completion/boxledger.${shell}`, import.meta.url);
      const text = await readFile(script, 'utf8');
      await (json ? output.json({ shell, script: text }) : output.bytes('stdout', text));
      return 0;
    }),
  );
  return withExamples(
    command,
    'boxledger completion bash > ~/.local/share/bash-completion/completions/boxledger',
    'boxledger completion zsh > ~/.zfunc/_boxledger',
    'boxledger completion fish > ~/.config/fish/completions/boxledger.fish',
  );
};

/** Asked by the shells' scripts: what the last of the words can become, one a line. It has no failures of its own to show. */
export const completeCommand = (io: CliIo, program: () => Command): Command =>
  new Command('__complete')
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action((words: string[]) =>
      inRun(io, false, async ({ output, signal }) => {
        const { command, prefix, argument, earlier, flags } = meantBy(program(), words);
        const candidates = prefix.startsWith('-')
          ? command
              .createHelp()
              .visibleOptions(command)
              .flatMap(({ long }) => long ?? [])
          : argument === undefined
            ? command.commands.filter((one) => !one.name().startsWith('__')).map((one) => one.name())
            : await valuesOf(io, argument, earlier, flags, signal);
        for (const candidate of candidates) if (candidate.startsWith(prefix)) await output.line(candidate);
        return 0;
      }),
    );

/** A shell waits for it at each press of the key. */
const patienceMs = 1_000;

const valuesOf = async (
  io: CliIo,
  argument: Argument,
  earlier: readonly string[],
  flags: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const what = argument.name();
  if (what !== 'box' && what !== 'snapshot') return [];
  const { env, workingDir } = io;
  const { addr: address, 'data-dir': dataDir, 'token-file': tokenFile } = flags;
  try {
    const found = await discoverServer({ address, dataDir, tokenFile, env, workingDir });
    const client = connect({ ...found, retries: 0 });
    const options = { signal, timeoutMs: patienceMs };
    try {
      const names: string[] = [];
      if (what === 'box') for await (const box of client.list(options)) names.push(box.name);
      else
        for (const { name } of await client.disks.listSnapshots(earlier[0] ?? '', options)) names.push(name);
      return names;
    } finally {
      client.close();
    }
  } catch {
    return []; // there is no server to ask, and nobody to tell
  }
};
