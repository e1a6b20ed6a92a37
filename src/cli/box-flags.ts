import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { BoxOptions, HealthCheck, RestartPolicy } from '../sdk/client.ts';
import type { Consistency } from '../sdk/disks.ts';
import {
  assignmentsValue,
  durationMsValue,
  type FlagFaults,
  memoryMibValue,
  numberValue,
} from './flag-values.ts';
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
  readonly healthCmd?: string;
  readonly healthInterval?: string;
  readonly healthTimeout?: string;
  readonly healthRetries?: string;
  readonly healthStartPeriod?: string;
  readonly healthcheck?: boolean;
  readonly restart?: string;
  readonly idleTimeout?: string;
  readonly maxLifetime?: string;
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
      '--health-cmd <command>',
      'for sh -c, exits with 0 where the box is healthy; empty: its guest answers',
    )
    .option('--health-interval <duration>', 'from probe to probe, such as 10s (default 30s)')
    .option('--health-timeout <duration>', 'that a probe may take (default 10s)')
    .option('--health-retries <n>', 'failures in a row that make it unhealthy (default 3)')
    .option(
      '--health-start-period <duration>',
      'after the start, in which failures do not count (default 60s)',
    )
    .option('--no-healthcheck', 'its health is not looked at, which is the default')
    .option(
      '--restart <policy>',
      'when it ended by itself: no, on-failure[:most in a row] or always (default no)',
    )
    .option('--idle-timeout <duration>', 'stop it when nothing has run in it for so long')
    .option('--max-lifetime <duration>', 'stop it so long after its start')
    .option(
      '--exec-log <policy>',
      'of programs and arguments, the log has: full, hash or none (default full)',
    )
    .option('--exec-log-env <policy>', "of an exec's own variables, likewise (default none)");

export const consistencyValue = (faults: FlagFaults, text: string | undefined): Consistency | undefined =>
  text === undefined || text === 'best-effort' || text === 'required'
    ? text
    : faults.add('--consistency', `must be best-effort or required, not ${JSON.stringify(text)}`);

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
    healthCheck: healthCheckValue(faults, flags),
    restart: restartValue(faults, flags.restart),
    idleTimeoutMs: wide(durationMsValue(faults, '--idle-timeout', flags.idleTimeout)),
    maxLifetimeMs: wide(durationMsValue(faults, '--max-lifetime', flags.maxLifetime)),
    execLog: { args: flags.execLog, env: flags.execLogEnv },
  };
};

const wide = (ms: number | undefined) => (ms === undefined ? undefined : BigInt(ms));

/** Any flag of it asks for it. */
const healthCheckValue = (faults: FlagFaults, flags: BoxFlags): HealthCheck | undefined => {
  const given = {
    intervalMs: durationMsValue(faults, '--health-interval', flags.healthInterval),
    timeoutMs: durationMsValue(faults, '--health-timeout', flags.healthTimeout),
    retries: numberValue(faults, '--health-retries', flags.healthRetries, { whole: true, min: 1 }),
    startPeriodMs: durationMsValue(faults, '--health-start-period', flags.healthStartPeriod),
  };
  const { healthCmd } = flags;
  const isGiven = healthCmd !== undefined || Object.values(given).some((value) => value !== undefined);
  if (!isGiven) return undefined;
  if (flags.healthcheck === false)
    return faults.add('--no-healthcheck', 'cannot be had with what says how health is found out');
  return { ...given, command: healthCmd ? ['sh', '-c', healthCmd] : [] };
};

/** `on-failure:5`. */
const restartValue = (faults: FlagFaults, text: string | undefined): RestartPolicy | undefined => {
  if (text === undefined) return undefined;
  const [, policy, most] = /^(no|always|on-failure)(?::([1-9]\d{0,6}))?$/.exec(text) ?? [];
  if (policy === undefined || (most !== undefined && policy !== 'on-failure'))
    return faults.add(
      '--restart',
      `must be no, on-failure, on-failure:N or always, not ${JSON.stringify(text)}`,
    );
  return { policy, maxRetries: most === undefined ? undefined : Number(most) };
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
