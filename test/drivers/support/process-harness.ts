import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Driver } from '../../../src/drivers/driver.ts';
import { type IsolationMode, isolationModes } from '../../../src/drivers/process/launch-plan.ts';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { findCgroups } from '../../../src/drivers/supervised/cgroup.ts';
import { BoxledgerError } from '../../../src/kernel/errors.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { readIfThere } from '../../../src/os/files.ts';
import { type DriverHarness, processTraits } from '../../contract/driver.ts';
import { askAgent } from './stand-in.ts';

export const standInAgent = fileURLToPath(new URL('stand-in-agent.cjs', import.meta.url));

/** A directory that box users of every mode can get to. */
export const makeDataDir = async (below = tmpdir()): Promise<string> => {
  const dataDir = await mkdtemp(join(below, 'boxledger-driver-'));
  await chmod(dataDir, 0o711);
  return dataDir;
};

/** The modes that work on this machine. */
export const workingModes = async (): Promise<readonly IsolationMode[]> => {
  const dataDir = await makeDataDir();
  const working: IsolationMode[] = [];
  try {
    for (const mode of isolationModes) {
      try {
        await createProcessDriver({ dataDir, agentPath: standInAgent, mode });
        working.push(mode);
      } catch (error) {
        if (!(error instanceof BoxledgerError && error.code === 'Unsupported')) throw error;
      }
    }
  } finally {
    await rm(dataDir, { recursive: true });
  }
  return working;
};

export interface ProcessHarness extends DriverHarness {
  readonly dataDir: string;
  /** What the expression of JavaScript is worth inside the box. */
  ask<Value>(box: BoxId, expression: string): Promise<Value>;
  boot: Driver['boot'];
}

export interface HarnessOptions {
  /** An existing directory; a new one by default. It is removed in the end. */
  readonly dataDir?: string;
  readonly agentPath?: string;
  readonly nodePath?: string;
}

/** `mode` undefined: the best that works here. */
export const openProcessHarness = async (
  mode: IsolationMode | undefined,
  options: HarnessOptions = {},
): Promise<ProcessHarness> => {
  const dataDir = options.dataDir ?? (await makeDataDir());
  const open = () => createProcessDriver({ agentPath: standInAgent, ...options, dataDir, mode });
  const driver = await open();
  const ask = <Value>(box: BoxId, expression: string) => askAgent<Value>(driver, box, expression);
  return {
    driver,
    traits: processTraits,
    dataDir,
    ask,
    boot: driver.boot.bind(driver),
    another: open,
    exitByItself: (box, code) => ask(box, `setImmediate(() => process.exit(${code})) && 0`),
    writeDisk: (box, name, text) => writeFile(join(dataDir, 'boxes', box, 'disk', name), text),
    readDisk: (box, name) => readIfThere(join(dataDir, 'boxes', box, 'disk', name)),
    leavings: (box) => leavingsOf(dataDir, box),
    close: async () => {
      for (const box of await driver.list()) await driver.kill(box);
      await rm(dataDir, { recursive: true });
    },
  };
};

/** Everything that the host has of a box but its disk and what is known of its end. */
export const leavingsOf = async (dataDir: string, box: BoxId): Promise<readonly string[]> => [
  ...(await processesOf(box)).map((line) => `process ${line}`),
  ...(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(box)),
  ...(await cgroupsOf(box)),
  ...(await socketsBelow(join(dataDir, 'run', box))),
];

/** Processes that name the box in their arguments or environment; ours do not. */
export const processesOf = async (box: BoxId): Promise<readonly string[]> => {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const [command, environment] = [await read('cmdline'), await read('environ')];
    if (`${command}${environment}`.includes(box))
      found.push(`${pid} ${command.replaceAll('\0', ' ').slice(0, 80)}`);
  }
  return found;
};

const cgroupsOf = async (box: BoxId): Promise<readonly string[]> => {
  const found: string[] = [];
  for (const parent of Object.values((await findCgroups()).parents))
    found.push(
      ...(await readdir(parent)).filter((name) => name.includes(box)).map((name) => join(parent, name)),
    );
  return found;
};

const socketsBelow = async (directory: string): Promise<readonly string[]> => {
  const { stdout } = await promisify(execFile)('find', [directory, '-type', 's', '-o', '-type', 'p']).catch(
    () => ({
      stdout: '',
    }),
  );
  return stdout.split('\n').filter(Boolean);
};
