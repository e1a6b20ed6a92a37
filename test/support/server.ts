import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createProcessDriver } from '../../src/drivers/process/process-driver.ts';

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));
const agentPath = fileURLToPath(new URL('../../dist/agent/agent.cjs', import.meta.url));

export interface ServerOptions {
  readonly dataDir: string;
  readonly databaseUrl?: string;
  readonly redisUrl?: string;
  readonly driver?: 'process' | 'qemu' | 'sim';
  /** Dies by SIGKILL when it passes this point with an effect or command of this kind: `boot.spawned:vm.boot`. */
  readonly crashAt?: string;
  readonly arguments?: readonly string[];
}

export interface TestServer {
  readonly address: string;
  readonly pid: number;
  /** Everything that it has written to stderr so far. */
  readonly log: () => string;
  /** Resolves with the signal or code that it ended by. */
  readonly ended: Promise<number | NodeJS.Signals>;
  kill(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<number | NodeJS.Signals>;
}

/** Every server of this test file, for those that a failed test leaves behind. */
const started: { readonly dataDir: string; readonly kill: () => Promise<void> }[] = [];

/** A real server in a process of its own, from the built sources. Resolves when it serves; rejects when it ends first. */
export const startServer = async (options: ServerOptions): Promise<TestServer> => {
  const child = spawn(process.execPath, [bin, 'serve', ...serveArguments(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, BOXLEDGER_CRASH_AT: options.crashAt ?? '' },
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => signal ?? code);
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  started.push({ dataDir: options.dataDir, kill });
  const ready = await Promise.race([
    readyLine(child),
    ended.then((how) => new Error(`serve ended (${how}) before it was ready:\n${log}`)),
  ]);
  if (ready instanceof Error) throw ready;
  return {
    address: ready.grpc,
    pid: child.pid ?? 0,
    log: () => log,
    ended,
    kill,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
};

const serveArguments = (options: ServerOptions): string[] => [
  '--json',
  '--listen',
  '127.0.0.1:0',
  '--data-dir',
  options.dataDir,
  ...(options.databaseUrl === undefined ? [] : ['--database-url', options.databaseUrl]),
  ...(options.redisUrl === undefined ? [] : ['--redis-url', options.redisUrl]),
  ...(options.driver === undefined ? [] : ['--driver', options.driver]),
  ...(options.arguments ?? []),
];

const readyLine = async (child: ChildProcess): Promise<{ grpc: string }> => {
  if (child.stdout === null) throw new Error('serve has no stdout');
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line);
    if (message.ready === true) {
      child.stdout.resume();
      return message;
    }
  }
  return new Promise(() => undefined); // the end of the process decides
};

export interface DataDir {
  readonly path: string;
  remove(): Promise<void>;
}

/** A data directory that goes away with its test, and with it whatever a failed test has left running of its boxes. */
export const createDataDir = async (): Promise<DataDir> => {
  const path = await mkdtemp(join(tmpdir(), 'bl-'));
  const remove = async () => {
    for (const server of started) if (server.dataDir.startsWith(path)) await server.kill();
    if (existsSync(join(path, 'run'))) {
      const driver = await createProcessDriver({ dataDir: path, agentPath });
      for (const boxId of await driver.list()) await driver.kill(boxId);
    }
    await rm(path, { recursive: true, force: true });
  };
  return { path, remove };
};

/** Command lines of the processes that name `directory` in their arguments or environment. */
export const processesOf = async (directory: string): Promise<string[]> => {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const [command, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (`${command}${environment}`.includes(directory))
      found.push(`${pid}: ${(command ?? '').replaceAll('\0', ' ')}`);
  }
  return found;
};
