import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, writeFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ProcessIdentity } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { limits } from '../../kernel/limits.ts';
import { readBootId } from '../../os/process-identity.ts';
import type { BootSpec } from '../driver.ts';
import {
  type BootRecord,
  readBootRecord,
  readExit,
  readIdentity,
  writeBootRecord,
} from '../supervised/boot-record.ts';
import { endRun, removeAttempts, removeTrace } from '../supervised/box-state.ts';
import { type CgroupHost, cgroupOf, makeCgroup } from '../supervised/cgroup.ts';
import { consoleTail } from '../supervised/console-tail.ts';
import { ensureDisk, type Owner } from '../supervised/disk.ts';
import type { AttemptLayout, BoxLayout } from '../supervised/layout.ts';

/** Steps of a boot after which the service may die; what it leaves then has to be found again. */
export const bootSteps = ['disk', 'recorded', 'grouped', 'ticketed', 'spawned', 'up'] as const;
export type BootStep = (typeof bootSteps)[number];

/**
 * A command that becomes the box's outermost process: a wrapper that makes the box, and what runs in it. It is started in
 * the root directory.
 */
export interface LaunchPlan {
  readonly wrapper: readonly string[];
  readonly program: readonly [command: string, ...args: string[]];
  readonly env: Readonly<Record<string, string>>;
}

/** What a driver brings its boxes up by. */
export interface BootContext {
  readonly mode: BootRecord['mode'];
  /** Path of the shim. */
  readonly shim: string;
  readonly cgroups: CgroupHost;
  /** Names of the sockets that the box makes in its guest directory, for the host to connect to. */
  readonly sockets: readonly string[];
  /** Memory that the host needs for a box besides what the box has. */
  readonly overheadMib: number;
  /** Of the box; undefined: the service's own user. */
  readonly owner: Owner;
  readonly directoryMode: number;
  /** Makes a disk at a path at which nothing is. */
  readonly makeDisk: (path: string, spec: BootSpec) => Promise<void>;
  /** Writes what only this attempt needs, and says what to start. */
  readonly launch: (spec: BootSpec, box: BoxLayout, record: BootRecord) => Promise<LaunchPlan>;
  /** The process that the run which this goes on with is known by. */
  readonly knownAs?: ProcessIdentity;
  /** What is still to be done to a box whose process is up before it can come up itself. */
  readonly started?: (spec: BootSpec) => Promise<void>;
  /** Called after each step; does nothing but in the fault tests. */
  readonly passed: (step: BootStep) => void;
}

/** Brings up a box of which nothing runs. When it cannot, or is aborted, all it began is undone but the disk. */
export const bootBox = async (
  context: BootContext,
  box: BoxLayout,
  spec: BootSpec,
  signal: AbortSignal,
): Promise<{
  readonly record: BootRecord;
  readonly process: ProcessIdentity;
  readonly stagesMs: Readonly<Record<string, number>>;
}> => {
  const pass = (step: BootStep) => {
    context.passed(step);
    signal.throwIfAborted();
  };
  const begun = performance.now();
  await ensureDisk(box, context.directoryMode, (path) => context.makeDisk(path, spec));
  pass('disk');
  const diskMade = performance.now();

  const record = await newRecord(context, spec);
  const attempt = box.attempt(record.nonce);
  let shim: StartedShim | undefined;
  try {
    await makeDirectories(box, attempt, context);
    // The last attempt stays: somebody may be about to read how it ended.
    await removeAttempts(box, [record.nonce, (await readBootRecord(box))?.nonce]);
    await writeBootRecord(box, record);
    pass('recorded');
    const memoryMib = spec.options.memoryMib + context.overheadMib;
    await makeCgroup(record.cgroup, { ...spec.options, memoryMib });
    pass('grouped');
    const plan = await context.launch(spec, box, record);
    await writeFile(attempt.ticket, '');
    pass('ticketed');
    shim = await startShim(context, plan, record, attempt);
    pass('spawned');
    if (!(await readySaid(shim.ready, signal))) throw await bootFailure(attempt);
    pass('up');
    const process = await readIdentity(attempt.main, record.bootId);
    if (process === undefined) throw await bootFailure(attempt);
    await context.started?.(spec);
    return {
      record,
      process,
      stagesMs: {
        disk: Math.round(diskMade - begun),
        spawn: Math.round(performance.now() - diskMade),
      },
    };
  } catch (error) {
    await endRun(spec.boxId, box);
    await shim?.gone;
    await removeTrace(box, record);
    throw error;
  } finally {
    shim?.ready.destroy();
  }
};

const newRecord = async ({ mode, cgroups, knownAs }: BootContext, spec: BootSpec): Promise<BootRecord> => {
  const nonce = randomBytes(8).toString('hex');
  return {
    format: 1,
    generation: spec.generation,
    nonce,
    bootId: await readBootId(),
    mode,
    cgroup: cgroupOf(cgroups, spec.boxId, nonce),
    size: sizeOf(spec),
    ...(knownAs !== undefined && { knownAs }),
  };
};

export const sizeOf = ({ options: { memoryMib, cpus } }: BootSpec) => ({ memoryMib, cpus });

const makeDirectories = async (
  box: BoxLayout,
  attempt: AttemptLayout,
  { directoryMode: mode, owner }: BootContext,
): Promise<void> => {
  await mkdir(box.run, { recursive: true, mode });
  for (const path of [attempt.directory, attempt.root, attempt.guest]) await mkdir(path, { mode });
  // Read by the box itself where bwrap binds it.
  await mkdir(attempt.etc, { mode: 0o755 });
  if (owner !== undefined) await chown(attempt.guest, owner, owner);
};

interface StartedShim {
  /** What it tells. */
  readonly ready: Readable;
  /** Resolves when it has ended. */
  readonly gone: Promise<unknown>;
}

/** Lets the shim loose. */
const startShim = async (
  { shim, mode, sockets }: BootContext,
  plan: LaunchPlan,
  record: BootRecord,
  attempt: AttemptLayout,
): Promise<StartedShim> => {
  const errors = await open(attempt.shimErrors, 'a', 0o600);
  try {
    const child = spawn('sh', [shim, ...plan.wrapper, ...plan.program], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', errors.fd, 'pipe'],
      env: {
        PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
        BL_RUN: attempt.directory,
        BL_SOCKETS: sockets.join(' '),
        BL_CGROUPS: [...new Set(Object.values(record.cgroup))].join('\n'),
        BL_PLAIN: mode === 'plain' ? '1' : '',
        ...plan.env,
      },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return {
      ready: child.stdio[3] as Readable, // a pipe that is not stdin is read
      gone: new Promise((resolve) => child.once('exit', resolve)),
    };
  } finally {
    await errors.close();
  }
};

/** True once the box stands and the shim has written down who it is; false when whoever could have said so is gone. */
const readySaid = (ready: Readable, signal: AbortSignal): Promise<boolean> =>
  new Promise((resolve, reject) => {
    let said = '';
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const settle = (up: boolean) => {
      signal.removeEventListener('abort', abort);
      resolve(up);
    };
    ready.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (/^main$/m.test(said) && /^up$/m.test(said)) settle(true);
    });
    ready.once('error', () => settle(false)); // as good as its end
    ready.once('close', () => settle(false));
  });

const bootFailure = async (attempt: AttemptLayout): Promise<BoxledgerError> => {
  const exit = await readExit(attempt);
  const tail = await consoleTail([attempt.shimErrors, ...attempt.console], limits.consoleTailBytes);
  return new BoxledgerError('Internal', 'the box ended before its guest agent could be started', {
    details: { console: tail, ...(exit === undefined ? {} : { exit }) },
  });
};
