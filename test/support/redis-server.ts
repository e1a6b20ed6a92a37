import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

const installed = spawnSync('redis-server', ['--version']).status === 0;
const required = process.env['BOXLEDGER_REQUIRE_REDIS'] === '1';

/** Why tests that need Redis are left out; undefined when they run. */
export const redisMissing =
  installed || required
    ? undefined
    : 'redis-server is not installed (apt-get install redis-server); BOXLEDGER_REQUIRE_REDIS=1 makes this a failure';

/** Debian's Redis on a free port, or on `port`, remembering nothing. */
export const startRedis = async (port?: number): Promise<RedisServer> => {
  if (!installed) throw new Error('BOXLEDGER_REQUIRE_REDIS=1, and redis-server is not installed');
  const chosen = port ?? (await freePort());
  const server = spawn(
    'redis-server',
    [
      ...['--port', String(chosen), '--bind', '127.0.0.1', '--dir', tmpdir()],
      ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = once(server, 'exit');
  await Promise.race([ready(server), ended.then(() => Promise.reject(new Error('redis-server ended')))]);
  return {
    url: `redis://127.0.0.1:${chosen}`,
    stop: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
};

const ready = async (server: ChildProcess) => {
  if (server.stdout === null) throw new Error('no output to read');
  for await (const line of createInterface({ input: server.stdout }))
    if (line.includes('Ready to accept connections')) {
      server.stdout.resume();
      return;
    }
};

const freePort = async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};
