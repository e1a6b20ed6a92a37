import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { ServeOptions } from '../cli/serve-options.ts';
import type { Driver, Isolation } from '../drivers/driver.ts';
import { createProcessDriver } from '../drivers/process/process-driver.ts';
import type { WarmUp } from '../drivers/qemu/make-template.ts';
import { createQemuDriver } from '../drivers/qemu/qemu-driver.ts';
import { createSimDriver } from '../drivers/sim-driver.ts';
import { connectGuest } from '../guest/grpc-guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';
import { randomIds } from './random-ids.ts';

/** The one bundled file that runs inside boxes; the same place seen from the sources and from the build. */
export const agentPath = fileURLToPath(new URL('../../dist/agent/agent.cjs', import.meta.url));

/** Says once, loudly, what a box is not kept apart from. Throws `Unsupported` where that is not to be. */
export const openDriver = async (options: ServeOptions, log: Logger): Promise<Driver> => {
  if (options.driver === 'sim') return createSimDriver();
  const opened = await createDriver(options, log);
  const found = await opened.isolation();
  if (options.isolation === 'strict') refuseLacks(found);
  if (found.isolates)
    log.info({ measures: found.measures, missing: found.missing }, 'how boxes are kept apart');
  else
    log.warn(
      { missing: found.missing },
      'NOTHING KEEPS BOXES APART HERE: their programs can do all that the user of this server can',
    );
  return opened;
};

const createDriver = (
  { driver, dataDir, isolation, accelerator, readyMachines }: ServeOptions,
  log: Logger,
): Promise<Driver> => {
  const notCleared = (boxId: BoxId, err: unknown) =>
    log.error({ err, boxId }, 'what was half done on the disk of a box could not be cleared away');
  const mode = isolation === 'auto' || isolation === 'strict' ? undefined : isolation;
  if (driver !== 'qemu') return createProcessDriver({ dataDir, agentPath, mode, notCleared });
  if (mode === 'unshare')
    throw new BoxledgerError('InvalidArgument', 'a machine is not kept apart by unshare', {
      help: 'With --driver qemu, --isolation is auto, strict, bwrap or plain.',
    });
  const confined = mode === undefined ? undefined : mode === 'bwrap';
  const templateFailed = (err: unknown) =>
    log.warn({ err }, 'machines start more slowly: no template or machine that stands ready could be used');
  // The memory of a template is mapped by every machine that goes on from it, and QEMU has to be able to write to it.
  const warm = isolation === 'strict' ? {} : { warmUp, readyMachines };
  return createQemuDriver({ dataDir, accelerator, confined, notCleared, templateFailed, ...warm });
};

/** What the first exec of a box does, so that the agent of a machine which goes on from here has done it. */
export const warmUp: WarmUp = async (socketPath, { hasDisk }, signal) => {
  const guest = connectGuest(`unix:${socketPath}`);
  try {
    await guest.ping(signal);
    if (hasDisk) await guest.attachDisk(signal);
    const spec = { command: 'true', args: [], env: {} };
    const exec = guest.exec(randomIds.execId(), spec, { env: {}, workingDir: undefined }, signal);
    for await (const _output of exec);
  } finally {
    guest.close();
  }
};

const refuseLacks = ({ isolates, missing }: Isolation): void => {
  if (isolates && missing.length === 0) return;
  throw new BoxledgerError(
    'Unsupported',
    `boxes are not kept apart by all that there is: ${missing.join('; ')}`,
    {
      help: 'Give the host what it lacks (boxledger doctor tells of each), or do not ask for --isolation strict.',
    },
  );
};
