/*
 * A pseudo-terminal without native code. Node cannot open one, but util-linux's `script` can: it runs a shell command
 * on a new terminal and passes bytes between that and its own stdin and stdout. The command first sets the size with
 * `stty`, writes the terminal's device and its own pid to descriptor 3, waits for a line from there, and then becomes
 * the program. Later sizes are set by `stty` on the device, which makes the kernel send SIGWINCH.
 */
import { spawn } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import type { TerminalSize } from '../gen/guest/v1/guest.ts';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type Launch, type Program, spawned } from './program.ts';

/** Starts the program on a terminal. Throws `Unsupported` where the box has no `script`. */
export const startOnTerminal = async (launch: Launch, size: TerminalSize): Promise<Program> => {
  const command = await findProgram(launch);
  const shellCommand = [
    `stty sane rows ${size.rows} cols ${size.cols} 2>/dev/null`,
    '{ tty && echo $$; } >&3',
    'read -r begin <&3',
    'exec 3>&-',
    launch.env['SHELL'] === undefined ? 'unset SHELL' : `export SHELL=${quoted(launch.env['SHELL'])}`,
    `exec ${[command, ...launch.args].map(quoted).join(' ')}`,
  ].join('; ');
  const env = { TERM: 'xterm', ...launch.env, SHELL: '/bin/sh' }; // `script` runs its command with $SHELL
  const script = await spawned(await findScript(), ['-qec', shellCommand, '/dev/null'], { ...launch, env }, [
    'pipe',
    'pipe',
    'pipe',
    'pipe',
  ]);
  const control = script.child.stdio[3] as unknown as Duplex; // Node types no more than the first three
  const [device, pid] = await firstLines(control, 2);
  if (device === undefined || !/^\d+$/.test(pid ?? '')) {
    script.child.kill('SIGKILL');
    throw new BoxledgerError('Unsupported', 'no pseudo-terminal could be opened in this box', { help });
  }
  return {
    ...script,
    pid: Number(pid),
    groups: [Number(pid), script.pid],
    resize: resizer(device, launch.env),
    begin: () => control.end('\n'),
  };
};

const help =
  'Install util-linux with its "script" program and a /bin/sh in the box (Debian: bsdutils), or run without a terminal.';

/** `script` of the BSDs takes other arguments. */
const findScript = async () => {
  if (process.platform === 'linux')
    for (const directory of (process.env['PATH'] || '/usr/bin:/bin').split(':'))
      if ((await executable(resolve('/', directory, 'script'))) === 'yes')
        return resolve('/', directory, 'script');
  throw new BoxledgerError('Unsupported', 'this box has no "script" program to open a terminal with', {
    help,
  });
};

/** As execvp(3) would, so that a program that is not there is an error of the call and not a line on the terminal. */
const findProgram = async ({ command, env, cwd }: Launch): Promise<string> => {
  const places = command.includes('/')
    ? [resolve(cwd, command)]
    : (env['PATH'] ?? '').split(':').map((directory) => resolve(cwd, directory, command));
  let denied = false;
  for (const place of places) {
    const verdict = await executable(place);
    if (verdict === 'yes') return place;
    if (verdict === 'denied') denied = true;
  }
  throw denied
    ? new BoxledgerError('PermissionDenied', `${command} cannot be started: EACCES`, {
        details: { errno: 'EACCES' },
      })
    : new BoxledgerError('NotFound', `${command} cannot be started: ENOENT`, {
        details: { errno: 'ENOENT' },
      });
};

const executable = async (path: string): Promise<'yes' | 'no' | 'denied'> => {
  try {
    if (!(await stat(path)).isFile()) return 'denied';
    await access(path, constants.X_OK);
    return 'yes';
  } catch (error) {
    return errnoOf(error) === 'EACCES' ? 'denied' : 'no';
  }
};

/** Single quotes keep everything but themselves as it is. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Fewer when the stream ends before. */
const firstLines = (stream: Duplex, count: number) =>
  new Promise<readonly string[]>((resolve) => {
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk;
      const lines = text.split('\n');
      if (lines.length > count) resolve(lines);
    });
    stream.on('error', () => resolve([]));
    stream.once('close', () => resolve([]));
  });

/**
 * Sets sizes one after the other and leaves out those that are overtaken, so that the last one stays. Best effort, as a
 * terminal's size is: a box without `stty` keeps the size that it has.
 */
const resizer = (device: string, env: Launch['env']) => {
  let wanted: TerminalSize | undefined;
  let setting = false;
  const next = () => {
    setting = wanted !== undefined;
    if (wanted === undefined) return;
    const args = ['-F', device, 'rows', String(wanted.rows), 'cols', String(wanted.cols)];
    wanted = undefined;
    const stty = spawn('stty', args, { env: { PATH: env['PATH'] }, stdio: 'ignore' });
    stty.once('error', next); // not there: then it has no 'exit'
    stty.once('exit', next);
  };
  return (size: TerminalSize) => {
    wanted = size;
    if (!setting) next();
  };
};
