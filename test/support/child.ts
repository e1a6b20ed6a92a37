import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Child {
  readonly process: ChildProcess;
  /** The next line of its output; throws when it ends before. */
  line(): Promise<string>;
  send(line: string): void;
  /** Resolves once it has ended, whatever its exit. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Runs a TypeScript file beside this one as a process of its own. */
export const runSupport = (
  file: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'uid' | 'gid' | 'env'> & { readonly wrapper?: readonly string[] } = {},
): Child => {
  const { wrapper = [], ...spawnOptions } = options;
  const script = fileURLToPath(new URL(file, import.meta.url));
  const tsx = import.meta.resolve('tsx');
  const [command = '', ...rest] = [...wrapper, process.execPath, '--import', tsx, script, ...args];
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'], ...spawnOptions });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const over = once(child, 'exit');
  return {
    process: child,
    line: async () => {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${file} ended without a line`);
      return value;
    },
    send: (line) => child.stdin.write(`${line}\n`),
    kill: async (signal) => {
      child.kill(signal);
      await over;
    },
  };
};
