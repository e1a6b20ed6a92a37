import { PassThrough } from 'node:stream';
import type { CliIo, EndingSignal } from '../../src/cli/io.ts';
import { runCli } from '../../src/cli/program.ts';
import type { ServerCommands } from '../../src/cli/server-commands.ts';

class FakeTerminal extends PassThrough {
  readonly isTTY: boolean;
  rows = 24;
  columns: number;
  /** Every change of mode, in order. */
  readonly modes: boolean[] = [];
  constructor(isTTY: boolean, columns = 80) {
    super();
    this.isTTY = isTTY;
    this.columns = columns;
  }
  setRawMode(raw: boolean): void {
    this.modes.push(raw);
  }
  /** What a spinner asks of a terminal. */
  readonly cursorTo = () => true;
  readonly clearLine = () => true;
  readonly moveCursor = () => true;
}

export interface Outcome {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliUnderTest {
  readonly stdin: FakeTerminal;
  readonly stdout: FakeTerminal;
  readonly done: Promise<Outcome>;
  signal(name: EndingSignal): void;
  /** Signal handlers that are still there. */
  handlers(): number;
  /** Resolves once standard output holds the text. */
  shown(text: string): Promise<void>;
}

interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly server?: Partial<ServerCommands>;
  readonly tty?: boolean;
  /** Of the terminal; 80 when unset. */
  readonly columns?: number;
  readonly workingDir?: string;
  /** Leaves standard output to the test. */
  readonly unread?: boolean;
}

/** Runs one command line within the test, on pipes or a make-believe terminal. */
export const startCli = (argv: readonly string[], around: Surroundings = {}): CliUnderTest => {
  const { env = {}, tty = false, columns, workingDir = '/nonexistent', unread = false } = around;
  const terminal = () => new FakeTerminal(tty, columns);
  const [stdin, stdout, stderr] = [terminal(), terminal(), terminal()];
  const handlers = new Set<(signal: EndingSignal) => void>();
  const text = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  const collect = (stream: FakeTerminal, name: 'stdout' | 'stderr') =>
    stream.on('data', (data: Buffer) => {
      text[name] += data.toString('utf8');
      for (const look of watchers) look();
    });
  if (!unread) collect(stdout, 'stdout');
  collect(stderr, 'stderr');
  let code: number | undefined;
  const io: CliIo = {
    stdin,
    stdout,
    stderr,
    env,
    workingDir,
    onSignal: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    setExitCode: (exitCode) => {
      code = exitCode;
    },
  };
  const done = runCli({ io, server: { ...noServer, ...around.server } }, argv).then(() => ({
    code,
    ...text,
  }));
  return {
    stdin,
    stdout,
    done,
    signal: (name) => {
      for (const handler of handlers) handler(name);
    },
    handlers: () => handlers.size,
    shown: (wanted) =>
      new Promise((resolve) => {
        const look = () => {
          if (!text.stdout.includes(wanted)) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
  };
};

export const cli = (argv: readonly string[], around: Surroundings = {}): Promise<Outcome> =>
  startCli(argv, around).done;

export const jsonLines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));

const notHere = () => Promise.reject(new Error('this test has no server commands'));
const noServer: ServerCommands = {
  serve: notHere,
  migrate: notHere,
  rebuild: notHere,
  preview: notHere,
  doctor: notHere,
  archive: notHere,
  images: { build: notHere, list: notHere, remove: notHere },
  audit: notHere,
};
