import { spawn } from 'node:child_process';

/**
 * Writes out what the file system of `directory` still holds in memory, through `sync`: Node has no call for it. False
 * when it took longer than `timeoutMs`, or there is no such program.
 */
export const flush = async (directory: string, timeoutMs: number): Promise<boolean> => {
  const end = performance.now() + timeoutMs;
  if (await runs('sync', ['-f', directory], timeoutMs)) return true;
  const leftMs = end - performance.now();
  return leftMs > 0 && runs('sync', [], leftMs); // a small `sync` knows no options
};

const runs = (command: string, args: readonly string[], timeoutMs: number) =>
  new Promise<boolean>((resolve) => {
    const child = spawn(command, args, { stdio: 'ignore' });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve(false); // not waiting for its end: a flush in the kernel cannot be interrupted
    }, timeoutMs);
    const settle = (succeeded: boolean) => {
      clearTimeout(timer);
      resolve(succeeded);
    };
    child.once('error', () => settle(false));
    child.once('exit', (code) => settle(code === 0));
  });
