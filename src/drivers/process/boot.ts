import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, writeFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ProcessIdentity } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { limits } from '../../kernel/limits.ts';
import { readBootId } from '../../os/process-identity.ts';
import type { BootSpec } from '../driver.ts';
import { type BootRecord, readBootRecord, readExit, readIdentity, writeBootRecord } from './boot-record.ts';
import { endBox, removeAttempts, removeTrace } from './box-state.ts';
import { type CgroupHost, cgroupOf, makeCgroup } from './cgroup.ts';
import { consoleTail } from './console-tail.ts';
import { ensureDisk, ownerFor } from './disk.ts';
import { boxUid, type LaunchBase, type LaunchPlan, launchPlan, writeEtc } from './launch-plan.ts';
import type { AttemptLayout, BoxLayout } from './layout.ts';
import { directoryModeFor } from './machine.ts';

/** Steps of a boot after which the service may die; what it leaves then has to be found again. */
export const bootSteps = ['disk', 'recorded', 'grouped', 'ticketed', 'spawned', 'up'] as const;
export type BootStep = (typeof bootSteps)[number];

export interface BootContext {
  readonly base: LaunchBase;
  readonly cgroups: CgroupHost;
  /** Called after each step; does nothing but in the fault tests. */
  readonly passed: (step: BootStep) => void;
}

/** Brings up a box of which nothing runs. When it cannot, or is aborted, all it began is undone but the disk. */
export const bootBox = async (
  context: BootContext,
  box: BoxLayout,
  spec: BootSpec,
  signal: AbortSignal,
): Promise<{ readonly process: ProcessIdentity; readonly stagesMs: Readonly<Record<string, number>> }> => {
  const { base } = context;
  const pass = (step: BootStep) => {
    context.passed(step);
    signal.throwIfAborted();
  };
  const begun = performance.now();
  await ensureDisk(box, ownerFor(base), directoryModeFor(base));
  pass('disk');
  const diskMade = performance.now();

  const record = await newRecord(context, spec);
  const attempt = box.attempt(record.nonce);
  let shim: StartedShim | undefined;
  try {
    await makeDirectories(box, attempt, base);
    // The last attempt stays: somebody may be about to read how it ended.
    await removeAttempts(box, [record.nonce, (await readBootRecord(box))?.nonce]);
    await writeBootRecord(box, record);
    pass('recorded');
    await makeCgroup(record.cgroup, spec.options);
    pass('grouped');
    const target = {
      boxId: spec.boxId,
      hostname: spec.name,
      network: spec.options.network,
      disk: box.disk,
      nonce: record.nonce,
      attempt,
    };
    await writeEtc(base, target);
    await writeFile(attempt.ticket, '');
    pass('ticketed');
    shim = await startShim(base, launchPlan(base, target), record, attempt);
    pass('spawned');
    if (!(await readySaid(shim.ready, signal))) throw await bootFailure(attempt);
    pass('up');
    const process = await readIdentity(attempt.main, record.bootId);
    if (process === undefined) throw await bootFailure(attempt);
    return {
      process,
      stagesMs: {
        disk: Math.round(diskMade - begun),
        spawn: Math.round(performance.now() - diskMade),
      },
    };
  } catch (error) {
    await endBox(spec.boxId, box);
    await shim?.gone;
    await removeTrace(box, record);
    throw error;
  } finally {
    shim?.ready.destroy();
  }
};

const newRecord = async ({ base, cgroups }: BootContext, spec: BootSpec): Promise<BootRecord> => {
  const nonce = randomBytes(8).toString('hex');
  return {
    format: 1,
    generation: spec.generation,
    nonce,
    bootId: await readBootId(),
    mode: base.mode,
    cgroup: cgroupOf(cgroups, spec.boxId, nonce),
  };
};

const makeDirectories = async (box: BoxLayout, attempt: AttemptLayout, base: LaunchBase): Promise<void> => {
  const mode = directoryModeFor(base);
  await mkdir(box.run, { recursive: true, mode });
  for (const path of [attempt.directory, attempt.root, attempt.guest]) await mkdir(path, { mode });
  // Read by the box itself where bwrap binds it.
  await mkdir(attempt.etc, { mode: 0o755 });
  if (base.serviceIsRoot) await chown(attempt.guest, boxUid, boxUid);
};

interface StartedShim {
  /** What it tells. */
  readonly ready: Readable;
  /** Resolves when it has ended. */
  readonly gone: Promise<unknown>;
}

/** Lets the shim loose. */
const startShim = async (
  base: LaunchBase,
  plan: LaunchPlan,
  record: BootRecord,
  attempt: AttemptLayout,
): Promise<StartedShim> => {
  const errors = await open(attempt.shimErrors, 'a', 0o600);
  try {
    const child = spawn('sh', [base.scripts.shim, ...plan.wrapper, ...plan.program], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', errors.fd, 'pipe'],
      env: {
        PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
        BL_RUN: attempt.directory,
        BL_CGROUPS: [...new Set(Object.values(record.cgroup))].join('\n'),
        BL_PLAIN: base.mode === 'plain' ? '1' : '',
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
