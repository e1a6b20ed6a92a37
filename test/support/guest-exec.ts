import type { ExecSpec } from '../../src/events/exec-events.ts';
import type { Exit } from '../../src/events/process.ts';
import type { ExecOutput, Guest, GuestExec } from '../../src/guest/guest.ts';
import type { ExecId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';

/** Longer than anything takes on a busy machine, shorter than a test. */
export const patience = () => AbortSignal.timeout(50_000);

type Spec = Pick<ExecSpec, 'command'> & Partial<ExecSpec>;

interface Options {
  /** Sent, and followed by the end of input; without it the input stays open. */
  readonly input?: string;
  /** Environment and working directory of the box. */
  readonly defaults?: Record<string, string>;
  readonly workingDir?: string | undefined;
  readonly signal?: AbortSignal;
  readonly execId?: ExecId;
  /** False: stdout is counted, but not kept. */
  readonly keepOutput?: boolean;
}

export const sh = (script: string): Spec => ({ command: 'sh', args: ['-c', script] });

export const begin = (guest: Guest, spec: Spec, options: Options = {}): GuestExec =>
  guest.exec(
    options.execId ?? randomIds.execId(),
    { args: [], env: {}, ...spec },
    { env: options.defaults ?? {}, workingDir: options.workingDir },
    options.signal ?? patience(),
  );

export interface Result {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: number;
  readonly skippedBytes: number;
  readonly exit: Exit;
  readonly timedOut: boolean;
  readonly durationMs: number;
}

/** Runs a program to its end. */
export const run = async (guest: Guest, spec: Spec, options: Options = {}): Promise<Result> => {
  const exec = begin(guest, spec, options);
  const sending =
    options.input === undefined ? undefined : feed(exec, options.input).catch((error: unknown) => error);
  const result = await resultOf(exec, options);
  await sending;
  return result;
};

/** Reads an exec to its end. */
export const resultOf = async (
  exec: AsyncIterable<ExecOutput>,
  options: Pick<Options, 'keepOutput'> = {},
): Promise<Result> => {
  let pid = 0;
  let stdoutBytes = 0;
  let skippedBytes = 0;
  const kept = { stdout: '', stderr: '' };
  for await (const output of exec) {
    if (output.kind === 'started') pid = output.pid;
    if (output.kind === 'stdout') stdoutBytes += output.data.length;
    if ('data' in output && (output.kind === 'stderr' || options.keepOutput !== false))
      kept[output.kind] += Buffer.from(output.data).toString('latin1');
    if (output.kind === 'skipped') skippedBytes += output.bytes;
    if (output.kind === 'exited') {
      const { exit, timedOut, durationMs } = output;
      return { pid, ...kept, stdoutBytes, skippedBytes, exit, timedOut, durationMs };
    }
  }
  throw new Error('the exec ended without an exit');
};

const feed = async (exec: GuestExec, input: string) => {
  await exec.send({ kind: 'stdin', data: Buffer.from(input) });
  await exec.send({ kind: 'end' });
};

export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
