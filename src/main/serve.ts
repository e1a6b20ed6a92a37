import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { addressText, tryToListen } from '../api/listen-address.ts';
import type { ServeOptions } from '../cli/serve-options.ts';
import type { ReadyServer } from '../cli/server-commands.ts';
import { BullmqEffectQueue, type QueueCarrier } from '../effects/bullmq-queue.ts';
import { postgresCarrier } from '../effects/postgres-carrier.ts';
import { redisCarrier } from '../effects/redis-carrier.ts';
import type { Actor } from '../events/schemas.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type HostId, hostId as parseHostId } from '../kernel/ids.ts';
import { readIfThere, writeWhole } from '../os/files.ts';
import { systemUser } from '../sdk/system-user.ts';
import { Cleaner, type Retention } from '../store/cleaning.ts';
import { lockDataDir } from '../store/data-dir-lock.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';
import { LogWatch } from '../store/log-watch.ts';
import { admitService } from '../store/roles.ts';
import { openStore } from '../store/store.ts';
import { atStart, databaseHelp, redisHelp } from './at-start.ts';
import { startCheckpoints } from './checkpoints.ts';
import { crashProbeOf } from './crash-probe.ts';
import { appendObserver } from './metrics-observers.ts';
import { openRegistry } from './metrics-registry.ts';
import { serveMetrics } from './metrics-service.ts';
import { openDriver } from './open-driver.ts';
import { openPendingImports } from './pending-imports.ts';
import { openPlane } from './plane.ts';
import { prepareDatabase, warnOfPower } from './prepare-database.ts';
import { randomIds } from './random-ids.ts';
import { serviceLog } from './service-log.ts';
import { Teardown } from './teardown.ts';

/** Serves until the signal fires; then ends in good order. Boxes run on, and the next start takes them over. */
export const serve = async (
  options: ServeOptions,
  signal: AbortSignal,
  ready: (server: ReadyServer) => void,
): Promise<void> => {
  const { dataDir, partitionEvents } = options;
  const log = serviceLog(options.logLevel);
  const teardown = new Teardown((err, what) => log.error({ err }, `${what} did not close`));
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const lock = await lockDataDir(dataDir);
    teardown.add('lock', () => lock.release());
    const token = await readToken(options.tokenFile);
    const metricsToken = await readToken(options.metricsTokenFile);
    const metrics = options.metricsAddress === undefined ? undefined : openRegistry();
    for (const address of [options.listen, options.metricsAddress])
      if (address !== undefined) await tryToListen(address);
    const driver = await openDriver(options, log);
    teardown.add('driver', () => driver.close());
    const databaseUrl = await openDatabase(options, log, teardown);
    const store = await atStart(databaseHelp, () =>
      openStore({ databaseUrl, log, partitionEvents, onWritten: metrics && appendObserver(metrics) }),
    );
    teardown.add('store', () => store.close());
    const watch = new LogWatch({ log: store.log, keepLog: store.keepLog, logger: log });
    watch.start();
    teardown.add('watch over the log', () => watch.close());
    const cleaner = new Cleaner({ databaseUrl, retention: retentionOf(options), log });
    cleaner.start();
    teardown.add('cleaner', () => cleaner.close());
    const maker = await startCheckpoints(options, store, log);
    teardown.add('checkpoints', () => maker.close());
    const carrier = await openCarrier(options.redisUrl, databaseUrl, log);
    const queue = new BullmqEffectQueue(carrier, { log });
    teardown.add('queue', () => queue.close());

    const plane = await openPlane({
      metrics,
      store,
      queue,
      driver,
      hostId: await ownHostId(dataDir),
      pendingImports: await openPendingImports(dataDir),
      token,
      localActor: localActor(),
      log,
      crash: crashProbeOf(process.env['BOXLEDGER_CRASH_AT']),
      signal,
    });
    teardown.add('plane', () => plane.close());
    const grpc = await plane.api.listen(addressText(options.listen));
    const scraped =
      metrics &&
      (await serveMetrics({ metrics, options, token: metricsToken, store, tally: plane.tally, log }));
    if (scraped !== undefined) teardown.add('metrics', () => scraped.close());
    await writeWhole(join(dataDir, 'server.json'), JSON.stringify({ grpc, pid: process.pid }), {
      flush: true,
    });
    teardown.add('server.json', () => rm(join(dataDir, 'server.json'), { force: true }));
    ready({ grpc, dataDir, metrics: scraped?.address });
    await aborted(signal);
    log.info('ending');
  } finally {
    await teardown.run();
  }
};

/** A database that is ready to be worked with, by the URL to work by: where all of it is ours, the service's role's. */
const openDatabase = async (options: ServeOptions, log: Logger, teardown: Teardown): Promise<string> => {
  const { databaseUrl, dataDir } = options;
  if (databaseUrl !== undefined) {
    const { standing } = await atStart(databaseHelp, () => prepareDatabase(databaseUrl, options, log));
    warnOfPower(standing, log);
    return databaseUrl;
  }
  const postgres = await openEmbeddedPostgres(dataDir, log);
  teardown.add('embedded Postgres', () => postgres.close());
  await prepareDatabase(postgres.url, options, log);
  await admitService(postgres.url, postgres.serviceUrl);
  return postgres.serviceUrl;
};

const dayMs = 86_400_000;
const retentionOf = ({ keepCommandsDays, keepEffectsDays }: ServeOptions): Retention => ({
  commandsMs: keepCommandsDays * dayMs,
  effectsMs: keepEffectsDays * dayMs,
});

const openCarrier = (
  redisUrl: string | undefined,
  databaseUrl: string,
  log: Logger,
): Promise<QueueCarrier> =>
  redisUrl === undefined
    ? postgresCarrier(databaseUrl, log)
    : atStart(redisHelp, () => redisCarrier(redisUrl, log));

/** Minted once for each data dir: what it holds of boxes is this host's. */
const ownHostId = async (dataDir: string): Promise<HostId> => {
  const file = join(dataDir, 'host-id');
  const kept = await readIfThere(file);
  if (kept !== undefined) return parseHostId(kept.trim());
  const minted = randomIds.hostId();
  await writeWhole(file, `${minted}\n`, { flush: true });
  return minted;
};

const readToken = async (file: string | undefined): Promise<string | undefined> => {
  if (file === undefined) return undefined;
  const fault = (problem: string, cause?: unknown) =>
    new BoxledgerError('InvalidArgument', `token file ${file} ${problem}`, {
      help: 'Put one line of at least 16 printable characters in it, for example from `openssl rand -hex 32`.',
      cause,
    });
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw fault(`cannot be read (${cause.code})`, cause);
  });
  const token = text.trim();
  if (!/^[\x21-\x7e]{16,}$/.test(token)) throw fault('holds no usable token');
  return token;
};

/** Who a caller on this machine is taken to be that does not say otherwise. */
const localActor = (): Actor => ({ kind: 'user', id: systemUser() });

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
