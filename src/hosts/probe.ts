import type { Driver } from '../drivers/driver.ts';
import type { BoxView } from '../events/box-view.ts';
import { type Failure, failureOf } from '../events/failure.ts';
import type { Exit } from '../events/process.ts';
import type { Guest } from '../guest/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ExecId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import type { IdSource } from '../kernel/ports.ts';
import type { GuestRegistry } from './guests.ts';
import { withinLimit } from './time-limit.ts';

/** A health check is no exec, but its program goes by the id of one in the box. */
export interface ProbeTools {
  readonly ids: Pick<IdSource, 'execId'>;
  readonly driver: Pick<Driver, 'observe'>;
  readonly guests: Pick<GuestRegistry, 'of'>;
}

/** `held`: its processes did not run, or have ended, so what the probe came to says nothing. */
export type Finding =
  | { readonly kind: 'well' }
  | { readonly kind: 'ill'; readonly failure: Failure }
  | { readonly kind: 'held' };

type HealthCheck = NonNullable<BoxView['options']['healthCheck']>;

/**
 * Asks once how a box is: by its guest's answer, or by a command that is run through the guest without an exec's being
 * recorded. Where the driver has no guest, a box is well as long as its process is up, whatever the check asks for. Throws
 * the signal's reason when it aborts.
 */
export const probe = async (
  { ids, driver, guests }: ProbeTools,
  view: BoxView,
  check: HealthCheck,
  signal: AbortSignal,
): Promise<Finding> => {
  const { boxId } = view;
  const guest = guests.of(boxId);
  if (guest !== null)
    try {
      await withinLimit('the health check', check.timeoutMs, signal, async (limited) => {
        if (check.command.length === 0) await guest.ping(limited);
        else await runCommand(guest, ids.execId(), view, check, limited);
      });
      return { kind: 'well' };
    } catch (error) {
      signal.throwIfAborted();
      return (await runs(driver, view)) ? { kind: 'ill', failure: failureOf(error) } : { kind: 'held' };
    }
  return { kind: (await runs(driver, view)) ? 'well' : 'held' };
};

const runs = async (driver: Pick<Driver, 'observe'>, { boxId, generation }: BoxView): Promise<boolean> => {
  const found = await driver.observe(boxId);
  return found.kind === 'running' && !found.frozen && found.generation === generation;
};

/** Throws unless the command exits with 0. Past the limit its guest kills its process group, whoever waits for it. */
const runCommand = async (
  guest: Guest,
  execId: ExecId,
  { boxId, options }: BoxView,
  { command: [command = '', ...args], timeoutMs }: HealthCheck,
  signal: AbortSignal,
): Promise<void> => {
  const defaults = {
    env: { ...options.env, BOXLEDGER_BOX_ID: boxId },
    workingDir: options.workingDir,
  };
  let said = '';
  const spec = { command, args, env: {}, timeoutMs: Math.min(timeoutMs, limits.execTimeoutMaxMs) };
  const run = guest.exec(execId, spec, defaults, signal);
  await run.send({ kind: 'end' });
  for await (const output of run) {
    if (output.kind === 'stdout' || output.kind === 'stderr')
      said = `${said}${Buffer.from(output.data).toString('latin1')}`.slice(-limits.probeOutputBytes);
    if (output.kind !== 'exited') continue;
    const { exit, timedOut } = output;
    if (timedOut)
      throw new BoxledgerError('DeadlineExceeded', `the health check was not done within ${timeoutMs} ms`);
    if (exit.kind === 'code' && exit.code === 0) return;
    throw new BoxledgerError('Internal', `the health check ${howItEnded(exit)}`, {
      details: { exit, output: Buffer.from(said, 'latin1').toString() },
    });
  }
};

const howItEnded = (exit: Exit): string => {
  if (exit.kind === 'code') return `exited with code ${exit.code}`;
  return exit.kind === 'signal' ? `was ended by ${exit.signal}` : 'ended, nobody knows how';
};
