import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));

export interface DemoServer {
  readonly address: string;
  stop(): Promise<void>;
}

/** `boxledger image build` as any user would run it; gives the image's digest. */
export const buildDemoImage = async (dataDir: string): Promise<string> => {
  const args = [bin, 'image', 'build', '--data-dir', dataDir];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: withoutServices() });
  return stdout.trim();
};

/** `boxledger serve` as any user would run it, on a port of the system's choice. What it says on stderr passes through. */
export const startDemoServer = async (dataDir: string, options: readonly string[]): Promise<DemoServer> => {
  const child = spawn(
    process.execPath,
    [
      bin,
      'serve',
      '--json',
      '--log-level',
      'warn',
      '--listen',
      '127.0.0.1:0',
      '--data-dir',
      dataDir,
      ...options,
    ],
    // In a process group of its own: Ctrl-C is the demo's to hear, which then ends the server in good order.
    { stdio: ['ignore', 'pipe', 'inherit'], env: withoutServices(), detached: true },
  );
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), ended.then(() => undefined)]);
  if (first === undefined) throw new Error('the server ended before it could serve');
  return {
    address: JSON.parse(String(first[0])).grpc,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
};

/** The demo shows what is embedded, so services that happen to be configured are left alone. */
const withoutServices = (): NodeJS.ProcessEnv => {
  const { DATABASE_URL: _database, REDIS_URL: _redis, ...rest } = process.env;
  return Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('BOXLEDGER_')));
};
