import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import type { ExecStart, TerminalSize } from '../gen/guest/v1/guest.ts';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError, type Fault, invalidArgument } from '../kernel/errors.ts';
import { fromErrno } from '../kernel/from-errno.ts';
import { limits } from '../kernel/limits.ts';
import type { Environment } from './environment.ts';
import { findUser, idsToBecome } from './user.ts';

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A started process with a pipe for each of its streams. */
export interface Started {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly pid: number;
  /** Resolves when it has ended, whatever its pipes still hold. */
  readonly ended: Promise<ProgramEnd>;
  /** Resolves when nobody has its pipes any more and all that was in them has been read: perhaps never. */
  readonly closed: Promise<void>;
}

/** A started program. */
export interface Program extends Started {
  /** Of the program, and of the process group that its signals go to. */
  readonly pid: number;
  /** Every process group that has to end with it. */
  readonly groups: readonly number[];
  /** Undefined without a terminal. */
  readonly resize: ((size: TerminalSize) => void) | undefined;
  /** To be called once somebody listens: Node drops the output of a process that ends before. */
  readonly begin: () => void;
}

/** How to start a program: the start request with every default filled in. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Unset: the agent's own. */
  readonly uid?: number;
  readonly gid?: number;
}

/** Throws `InvalidArgument` with every fault of the request, and `PermissionDenied` for a user that may not be become. */
export const launchOf = async (start: ExecStart, environment: Environment): Promise<Launch> => {
  const cwd = start.workingDir === '' ? environment.home : start.workingDir;
  const faults: Fault[] = [];
  if (start.command === '') faults.push({ field: 'command', problem: 'must not be empty' });
  if ([start.command, ...start.args].some((text) => text.includes('\0')))
    faults.push({ field: 'args', problem: 'must not contain NUL' });
  for (const [key, value] of Object.entries(start.env))
    if (key === '' || /[=\0]/.test(key) || value.includes('\0'))
      faults.push({ field: `env.${key}`, problem: 'must be a name without "=", and without NUL' });
  if (start.timeoutMs > limits.execTimeoutMaxMs)
    faults.push({ field: 'timeout_ms', problem: `must be at most ${limits.execTimeoutMaxMs}` });
  if (start.terminal !== undefined && !isTerminalSize(start.terminal))
    faults.push({ field: 'tty', problem: 'must have 1 to 65535 rows and columns' });
  const problem = cwd.startsWith('/') ? await problemOfDirectory(cwd) : 'must be an absolute path';
  if (problem !== undefined) faults.push({ field: 'working_dir', problem });
  const user = start.user === '' ? undefined : await findUser(start.user);
  if (typeof user === 'string') faults.push({ field: 'user', problem: user });
  if (faults.length > 0 || typeof user === 'string')
    throw BoxledgerError.fromRefusal(invalidArgument(faults));
  const { command, args } = start;
  if (user === undefined) return { command, args, env: { ...environment.base, ...start.env }, cwd };
  const { uid, gid, name, home } = user;
  return {
    ...{ command, args, cwd, ...idsToBecome(start.user, uid, gid) },
    env: { ...environment.base, USER: name, HOME: home, ...start.env },
  };
};

/** Looked at before the start, because `spawn` reports a bad directory as if the program were not there. */
const problemOfDirectory = async (path: string): Promise<string | undefined> => {
  try {
    return (await stat(path)).isDirectory() ? undefined : `${path} is not a directory`;
  } catch (error) {
    return `${path} cannot be entered: ${errnoOf(error) ?? error}`;
  }
};

export const isTerminalSize = ({ rows, cols }: TerminalSize): boolean =>
  [rows, cols].every((side) => side >= 1 && side <= 65_535);

export const startProgram = async (launch: Launch): Promise<Program> => {
  const started = await spawned(launch.command, launch.args, launch, ['pipe', 'pipe', 'pipe']);
  return { ...started, groups: [started.pid], resize: undefined, begin: () => undefined };
};

/**
 * Starts a process in a session and process group of its own. Whoever listens to its output must do so in the same
 * turn of the event loop, or hold the program back until then.
 */
export const spawned = async (
  command: string,
  args: readonly string[],
  { env, cwd, uid, gid }: Pick<Launch, 'env' | 'cwd' | 'uid' | 'gid'>,
  stdio: 'pipe'[],
): Promise<Started> => {
  try {
    const child = spawn(command, args, { env, cwd, uid, gid, stdio, detached: true });
    const ended = new Promise<ProgramEnd>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const closed = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
    });
    await once(child, 'spawn');
    const { stdin, stdout, stderr, pid } = child;
    if (pid === undefined || stdin === null || stdout === null || stderr === null)
      throw new BoxledgerError('Internal', `${command} was started without its pipes`);
    return { child: Object.assign(child, { stdin, stdout, stderr }), pid, ended, closed };
  } catch (error) {
    throw fromErrno(error, `${command} cannot be started`);
  }
};
