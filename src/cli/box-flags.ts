import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { BoxOptions } from '../sdk/client.ts';
import { assignmentsValue, type FlagFaults, memoryMibValue, numberValue } from './flag-values.ts';
import { repeatable } from './flags.ts';
import type { CliIo } from './io.ts';

/** Options that say what a box is made to be. */
export interface BoxFlags {
  readonly cpus?: string;
  readonly memory?: string;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly label?: readonly string[];
  readonly workdir?: string;
  readonly network?: string;
  readonly autoStart?: boolean;
  readonly execLog?: string;
  readonly execLogEnv?: string;
}

export const addBoxFlags = (command: Command): Command =>
  command
    .option('--cpus <n>', 'cores that the box may use (default 1)')
    .option('--memory <size>', 'memory that the box may use, such as 512m or 1g (default 512m)')
    .option(
      '-e, --env <k=v>',
      "a variable for every program; a name alone takes this shell's value",
      repeatable,
    )
    .option('--env-file <file>', 'file with a K=V a line', repeatable)
    .option('-l, --label <k=v>', 'a label to find the box by', repeatable)
    .option('-w, --workdir <dir>', "absolute directory that programs start in (default: the box's home)")
    .option('--network <kind>', 'what it reaches: none, or what its host does: host (default none)')
    .option('--no-auto-start', 'exec refuses to start the box when it does not run')
    .option(
      '--exec-log <policy>',
      'of programs and arguments, the log has: full, hash or none (default full)',
    )
    .option('--exec-log-env <policy>', "of an exec's own variables, likewise (default none)");

/** Faults are added, not thrown. The server checks what only it can know. */
export const boxOptionsValue = async (
  faults: FlagFaults,
  flags: BoxFlags,
  io: CliIo,
): Promise<Partial<BoxOptions>> => {
  const fromFiles = await Promise.all((flags.envFile ?? []).map((path) => envFileLines(faults, path, io)));
  return {
    cpus: numberValue(faults, '--cpus', flags.cpus, { min: Number.NEGATIVE_INFINITY }),
    memoryMib: memoryMibValue(faults, '--memory', flags.memory),
    env: envValue(faults, [...fromFiles.flat(), ...(flags.env ?? [])], io),
    labels: assignmentsValue(faults, '--label', flags.label ?? [], () => ''),
    workingDir: flags.workdir,
    network: flags.network,
    autoStart: flags.autoStart === false ? false : undefined,
    execLog: { args: flags.execLog, env: flags.execLogEnv },
  };
};

export const envValue = (faults: FlagFaults, texts: readonly string[], io: CliIo) =>
  assignmentsValue(faults, '--env', texts, (key) => io.env[key]);

/** Empty lines and those that begin with # say nothing. */
const envFileLines = async (faults: FlagFaults, path: string, io: CliIo): Promise<readonly string[]> => {
  try {
    const text = await readFile(resolve(io.workingDir, path), 'utf8');
    return text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  } catch (error) {
    faults.add('--env-file', `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    return [];
  }
};
