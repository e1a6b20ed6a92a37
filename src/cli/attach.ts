import { isUtf8 } from 'node:buffer';
import { BoxledgerError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Exec, ExecOptions, ExecOutput } from '../sdk/exec.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { FailureWithCode, Interrupted } from './failure.ts';
import type { EndingSignal } from './io.ts';
import { exitJson } from './json-forms.ts';
import { numberJson } from './json-values.ts';
import type { Session } from './session.ts';
import { handOverTerminal, pumpInput, sizeOf } from './terminal.ts';

/** A program to run with our own input, output and signals. */
export interface Attachment {
  /** Id of the box. */
  readonly boxId: string;
  readonly command: string;
  /** Passes standard input on; else the program finds it empty. */
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly options: Omit<ExecOptions, 'signal' | 'tty'>;
}

/** So many Ctrl-C, and we go although the program does not. */
const patience = 3;

/**
 * Runs the program and resolves with its exit code. What it writes goes where it should, what is typed and what would
 * end us goes to it, and the terminal is as before whatever happens.
 */
export const attach = async (session: Session, attachment: Attachment): Promise<number> => {
  const { io, client, signal } = session;
  const { boxId, command, interactive, tty, options } = attachment;
  checkTerminal(session, attachment);
  const exec = client.exec(boxId, command, { ...options, signal, tty: tty ? sizeOf(io.stdout) : undefined });
  const undo: (() => void)[] = [];
  let started = false;
  const giveBackSignals = session.takeSignals(passSignals(session, exec, () => started));
  try {
    if (!interactive) void exec.endStdin();
    for await (const output of exec) {
      if (output.kind === 'started') {
        started = true;
        if (tty) undo.push(handOverTerminal(io, exec, interactive));
        if (interactive) undo.push(pumpInput(io.stdin, exec));
      }
      await show(session, output);
      if (output.kind === 'exited') return finalCode(output);
    }
    throw new BoxledgerError('Internal', 'the program’s output ended before the program');
  } catch (error) {
    throw started ? error : startFailure(error);
  } finally {
    for (const step of undo.reverse()) step();
    giveBackSignals();
  }
};

const checkTerminal = ({ io }: Session, { interactive, tty }: Attachment) => {
  if (!tty || !interactive || io.stdin.isTTY === true) return;
  throw new BoxledgerError('InvalidArgument', '-t with -i needs a terminal, and standard input is none', {
    help: 'Leave out -t to pipe into the program.',
  });
};

/** Before the program runs, Ctrl-C ends the wait for it; then it is the program's. */
const passSignals = (session: Session, exec: Exec, started: () => boolean) => {
  let interrupts = 0;
  return (name: EndingSignal) => {
    interrupts += name === 'SIGINT' ? 1 : 0;
    if (!started() || interrupts >= patience) session.end(new Interrupted(name));
    else void exec.sendSignal(name);
  };
};

const show = async ({ json, output, io }: Session, shown: ExecOutput): Promise<void> => {
  if (json) return output.json(outputJson(shown));
  if (shown.kind === 'stdout' || shown.kind === 'stderr') return output.bytes(shown.kind, shown.data);
  if (shown.kind !== 'exited') return;
  if (shown.timedOut) io.stderr.write('boxledger: the program was ended, for it ran longer than allowed\n');
  if (exitCodeOf(shown.exit) === undefined)
    io.stderr.write('boxledger: the program is gone, and nobody saw how it ended\n');
};

/** Output that is not UTF-8 on its own is given in base 64. */
const outputJson = (output: ExecOutput): JsonObject => {
  switch (output.kind) {
    case 'started':
      return { type: 'started', execId: output.execId, boxId: output.boxId, pid: output.pid };
    case 'stdout':
    case 'stderr': {
      const data = Buffer.from(output.data);
      return isUtf8(data)
        ? { type: output.kind, data: data.toString('utf8') }
        : { type: output.kind, base64: data.toString('base64') };
    }
    case 'exited':
      return {
        type: 'exited',
        exit: exitJson(output.exit),
        exitCode: finalCode(output),
        timedOut: output.timedOut,
        durationMs: numberJson(output.durationMs),
      };
    default:
      return output satisfies never;
  }
};

const finalCode = ({ exit }: Extract<ExecOutput, { kind: 'exited' }>): number =>
  exitCodeOf(exit) ?? exitCodes.ownFailure;

/** What the operating system refused is the program; a box that is not found (any more) is a failure like any other. */
const startFailure = (error: unknown): unknown => {
  if (!(error instanceof BoxledgerError) || error.details['errno'] === undefined) return error;
  if (error.code === 'NotFound') return new FailureWithCode(error, exitCodes.notFound);
  if (error.code === 'PermissionDenied') return new FailureWithCode(error, exitCodes.notExecutable);
  return error;
};
