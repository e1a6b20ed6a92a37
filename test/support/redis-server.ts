import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

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

/** Ends Redis when its standard input closes, so that it never outlives a test run, however that ended. */
const tether = 'redis-server "$@" & exec >&-; read -r _; kill -9 $!; wait';

/** Debian's Redis on a free port, or on `port`, remembering nothing. */
export const startRedis = async (port?: number): Promise<RedisServer> => {
  if (!installed) throw new Error('BOXLEDGER_REQUIRE_REDIS=1, and redis-server is not installed');
  const chosen = port ?? (await freePort());
  const flags = [
    ...['--port', String(chosen), '--bind', '127.0.0.1', '--dir', tmpdir()],
    ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'],
  ];
  const server = spawn('sh', ['-c', tether, 'redis', ...flags], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(server, 'exit');
  const stop = async () => {
    server.stdin.end();
    await ended;
  };
  if (!(await isReady(server.stdout))) {
    await stop();
    throw new Error(`redis-server did not start on port ${chosen}`);
  }
  return { url: `redis://127.0.0.1:${chosen}`, stop };
};

const isReady = async (output: Readable): Promise<boolean> => {
  for await (const line of createInterface({ input: output }))
    if (line.includes('Ready to accept connections')) {
      output.resume();
      return true;
    }
  return false;
};

const freePort = async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};
