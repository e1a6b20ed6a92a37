import { type Box, type Client, connect } from '../sdk/client.ts';
import { discoverServer } from '../sdk/discover.ts';
import { Interrupted, reportFailure } from './failure.ts';
import { FlagFaults } from './flag-values.ts';
import type { CliIo, EndingSignal } from './io.ts';
import { boxJson } from './json-forms.ts';
import { type Output, openOutput } from './output.ts';

/** One command under way. */
export interface Run {
  readonly io: CliIo;
  readonly json: boolean;
  readonly output: Output;
  /** Fires when the command has to end: the user said so, or nobody reads its output any more. */
  readonly signal: AbortSignal;
  end(reason: Error): void;
  /** From now on the handler hears the signals that would end the command. Returns how to give them back. */
  takeSignals(handler: (signal: EndingSignal) => void): () => void;
  /** From now on such a signal ends the process at once. */
  leaveSignals(): void;
  /** Shows on a terminal that something is waited for. */
  progress<Result>(text: string, work: Promise<Result>): Promise<Result>;
  /** The same for work that counts what it has done: the count is shown, and goes up. */
  counted<Result>(text: string, work: (done: (count: number) => void) => Promise<Result>): Promise<Result>;
  /** A box as an object with `--json`, else the line. */
  printBox(box: Box, line: string): Promise<void>;
}

export interface Session extends Run {
  readonly client: Client;
}

/** Options of every command that talks to a server. */
export interface ConnectionFlags {
  readonly addr?: string;
  readonly dataDir?: string;
  readonly tokenFile?: string;
  readonly actor?: string;
  readonly json?: boolean;
}

/** Runs a command's work and sets the exit code: what the work says (undefined: 0), or that of its failure. */
export const inRun = async (
  io: CliIo,
  json: boolean,
  work: (run: Run) => Promise<number | undefined>,
): Promise<void> => {
  const controller = new AbortController();
  const { signal } = controller;
  const end = (reason: Error) => controller.abort(reason);
  const interrupt = (name: EndingSignal) => end(new Interrupted(name));
  let hear = interrupt;
  const deaf = io.onSignal((name) => hear(name));
  const output = openOutput(io, end, signal);
  const run: Run = {
    io,
    json,
    output,
    signal,
    end,
    takeSignals: (handler) => {
      hear = handler;
      return () => {
        hear = interrupt;
      };
    },
    leaveSignals: deaf,
    progress: (text, pending) => withSpinner(io, json, text, () => pending),
    counted: (text, counting) => withSpinner(io, json, text, counting),
    printBox: (box, line) => (json ? output.json(boxJson(box)) : output.line(line)),
  };
  try {
    const code = (await work(run)) ?? 0;
    await output.flush();
    io.setExitCode(code);
  } catch (error) {
    io.setExitCode(reportFailure(io, error, json));
  } finally {
    deaf();
  }
};

/** A command that talks to a server: its name, how its flags are read, and what it does with what they say. */
interface SessionCommand<Asked> {
  readonly name: string;
  /** Adds what is wrong to the faults; no server is looked for when there are any. */
  readonly read: (faults: FlagFaults) => Asked | Promise<Asked>;
  readonly work: (session: Session, asked: Asked) => Promise<number | undefined>;
}

/** The same with a client of the server that is found. */
export const inSession = <Asked>(
  io: CliIo,
  flags: ConnectionFlags,
  { name, read, work }: SessionCommand<Asked>,
): Promise<void> =>
  inRun(io, flags.json === true, async (run) => {
    const faults = new FlagFaults();
    const asked = await read(faults);
    faults.check(name);
    const { addr: address, dataDir, tokenFile, actor } = flags;
    const { env, workingDir } = io;
    const found = await discoverServer({ address, dataDir, tokenFile, actor, env, workingDir });
    const client = connect({ ...found, retries: 2 });
    try {
      return await work({ ...run, client }, asked);
    } finally {
      client.close();
    }
  });

const withSpinner = async <Result>(
  io: CliIo,
  json: boolean,
  text: string,
  work: (done: (count: number) => void) => Promise<Result>,
): Promise<Result> => {
  // A terminal that nobody gave a size has no columns, and a spinner would never be done with dividing by them.
  if (json || io.stderr.isTTY !== true || !io.stderr.columns) return work(() => undefined);
  let show = (_count: number): void => undefined;
  const pending = work((count) => show(count));
  pending.catch(() => undefined); // heard below, but it may fail before we get there
  const { default: ora } = await import('ora');
  const spinner = ora({ text, stream: io.stderr, discardStdin: false }).start();
  show = (count) => {
    spinner.text = `${text}: ${count}`;
  };
  try {
    return await pending;
  } finally {
    spinner.stop();
  }
};
