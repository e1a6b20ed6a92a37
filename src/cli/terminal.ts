import type { Exec } from '../sdk/attached-exec.ts';
import type { DetachKeys } from './detach-keys.ts';
import type { CliInput, CliIo, CliOutput } from './io.ts';

/**
 * Sends what is typed or piped to the program, as fast as it takes it, less the detach keys. Returns how to stop, with
 * nothing left behind.
 */
export const pumpInput = (stdin: CliInput, exec: Exec, keys: DetachKeys | undefined): (() => void) => {
  const forward = (data: Buffer | string) => {
    stdin.pause();
    const bytes = Buffer.from(data);
    void exec.sendStdin(keys === undefined ? bytes : keys.pass(bytes)).then(() => {
      if (!stopped) stdin.resume();
    });
  };
  // A source that fails has nothing more to say; the program sees its input end.
  const end = () => void exec.endStdin();
  let stopped = false;
  stdin.on('data', forward);
  stdin.once('end', end);
  stdin.once('error', end);
  stdin.resume();
  return () => {
    stopped = true;
    stdin.off('data', forward);
    stdin.off('end', end);
    stdin.off('error', end);
    stdin.pause();
  };
};

export const sizeOf = ({ rows, columns }: CliOutput) => ({ rows: rows || 24, cols: columns || 80 });

/**
 * Hands the terminal over to the program: every key goes to it as it is pressed, and it hears of a new size. Returns how
 * to take the terminal back.
 */
export const handOverTerminal = ({ stdin, stdout }: CliIo, exec: Exec, withKeys: boolean): (() => void) => {
  const resize = () => void exec.resize(sizeOf(stdout));
  stdout.on('resize', resize);
  if (withKeys) stdin.setRawMode?.(true);
  return () => {
    if (withKeys) stdin.setRawMode?.(false);
    stdout.off('resize', resize);
  };
};
