import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import type { ServeOptions } from '../cli/serve-options.ts';
import type { Finding } from '../cli/server-commands.ts';
import { ImageStore } from '../drivers/qemu/image/image-store.ts';
import { findTool } from '../drivers/qemu/tools.ts';
import { redisCarrier } from '../effects/redis-carrier.ts';
import type { BoxledgerError } from '../kernel/errors.ts';
import { openStore } from '../store/store.ts';
import { databaseHelp, redisHelp } from './at-start.ts';
import { examineLog } from './doctor-log.ts';
import { openDriver } from './open-driver.ts';

const silent = pino({ level: 'silent' });

/** Looks at what a server with these options would stand on. Changes nothing that lasts. */
export const diagnose = async (options: ServeOptions): Promise<readonly Finding[]> => [
  node(),
  ...(await Promise.all([database(options), queue(options)])).flat(),
  ...(await isolation(options)),
  ...(options.driver === 'qemu' ? await machines(options) : []),
];

const node = (): Finding => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return {
    name: 'node',
    status: fits ? 'ok' : 'failure',
    detail: `Node.js ${process.version} on ${process.platform} ${process.arch}`,
    help: fits ? undefined : 'Install Node.js 20.19 or newer.',
  };
};

const database = async ({ databaseUrl }: ServeOptions): Promise<readonly Finding[]> => {
  const name = 'database';
  if (databaseUrl === undefined)
    return [{ name, status: 'ok', detail: 'embedded Postgres under the data dir' }];
  try {
    const store = await openStore({ databaseUrl, log: silent });
    try {
      const { rows } = await store.pool.query('SHOW server_version');
      const answers: Finding = { name, status: 'ok', detail: `Postgres ${rows[0]?.server_version} answers` };
      return [answers, ...(await examineLog(store, databaseUrl))];
    } finally {
      await store.close();
    }
  } catch (error) {
    return [{ name, status: 'failure', detail: messageOf(error), help: databaseHelp }];
  }
};

const queue = async ({ redisUrl }: ServeOptions): Promise<Finding> => {
  if (redisUrl === undefined) return { name: 'queue', status: 'ok', detail: 'BullMQ in Postgres' };
  return attempt('queue', redisHelp, async () => {
    const carrier = await redisCarrier(redisUrl, silent);
    await carrier.close();
    return 'BullMQ in Redis, which answers';
  });
};

const isolation = async (options: ServeOptions): Promise<Finding[]> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-doctor-'));
  try {
    const driver = await openDriver({ ...options, dataDir }, silent);
    const { isolates, measures, missing } = await driver.isolation();
    return [
      {
        name: 'isolation',
        status: isolates ? 'ok' : 'warning',
        detail: isolates ? measures.join('; ') : `the ${driver.kind} driver keeps nothing apart here`,
      },
      ...missing.map((lack): Finding => ({ name: 'isolation', status: 'warning', detail: lack })),
    ];
  } catch (error) {
    return [{ name: 'isolation', status: 'failure', detail: messageOf(error) }];
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
};

/** What new boxes would be made of, and what an image is built with. */
const machines = async ({ dataDir }: ServeOptions): Promise<Finding[]> => {
  const name = 'image';
  const findings: Finding[] = [];
  for (const tool of ['debugfs', 'busybox', 'lz4', 'dpkg-deb', 'apt-get'] as const)
    await findTool(tool).catch((error: BoxledgerError) =>
      findings.push({
        name,
        status: 'warning',
        detail: `no image can be built: ${error.message}`,
        help: error.help,
      }),
    );
  const image = await new ImageStore(dataDir).current().catch(messageOf);
  if (typeof image === 'string') findings.push({ name, status: 'failure', detail: image });
  else if (image === undefined)
    findings.push({
      name,
      status: 'warning',
      detail: 'there is none to make boxes of',
      help: 'boxledger image build makes one.',
    });
  else findings.push({ name, status: 'ok', detail: `new boxes are made of ${image.digest}` });
  return findings;
};

const attempt = async (name: string, help: string, look: () => Promise<string>): Promise<Finding> => {
  try {
    return { name, status: 'ok', detail: await look() };
  } catch (error) {
    return { name, status: 'failure', detail: messageOf(error), help };
  }
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
