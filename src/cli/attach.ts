import { isUtf8 } from 'node:buffer';
import { BoxledgerError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Exec, ExecOutput } from '../sdk/attached-exec.ts';
import { DetachKeys } from './detach-keys.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { FailureWithCode, Interrupted } from './failure.ts';
import type { EndingSignal } from './io.ts';
import { exitJson } from './json-forms.ts';
import { numberJson } from './json-values.ts';
import type { Session } from './session.ts';
import { handOverTerminal, pumpInput, sizeOf } from './terminal.ts';

/** A program to be attached to with our own input, output and signals. */
export interface Attachment {
  /** Starts the call; `tty`: the size of our terminal, for a program that is to have one. */
  readonly open: (with_: { signal: AbortSignal; tty: ReturnType<typeof sizeOf> | undefined }) => Exec;
  /** Passes standard input on. */
  readonly interactive: boolean;
  readonly tty: boolean;
  /** Without `interactive`, whether the program finds its input at its end. */
  readonly endsInput: boolean;
  /** What would end us goes to the program. */
  readonly passesSignals: boolean;
  /** Bytes that, typed on a terminal, leave the program. */
  readonly detachKeys: Buffer;
}

/** So many Ctrl-C, and we go although the program does not. */
const patience = 3;

/** The user has left the program to itself. */
class Detached extends Error {
  override readonly name = 'Detached';
}

/**
 * Is attached until the program ends, and resolves with its exit code; 0 when it is left by the detach keys. What it writes
 * goes where it should, what is typed goes to it, and the terminal is as before whatever happens.
 */
export const attach = async (session: Session, attachment: Attachment): Promise<number> => {
  const { io } = session;
  const { open, interactive, tty, endsInput, passesSignals, detachKeys } = attachment;
  checkTerminal(session, attachment);
  const leaving = new AbortController();
  const signal = AbortSignal.any([session.signal, leaving.signal]);
  const exec = open({ signal, tty: tty ? sizeOf(io.stdout) : undefined });
  const undo: (() => void)[] = [];
  let names: { execId: string; boxId: string } | undefined;
  if (passesSignals) undo.push(session.takeSignals(passOn(session, exec, () => names !== undefined)));
  try {
    if (!interactive && endsInput) void exec.endStdin();
    for await (const output of exec) {
      if (output.kind === 'started') {
        names = output;
        if (tty) undo.push(handOverTerminal(io, exec, interactive));
        const keys = tty ? new DetachKeys(detachKeys, () => leaving.abort(new Detached())) : undefined;
        if (interactive) undo.push(pumpInput(io.stdin, exec, keys));
      }
      await show(session, output);
      if (output.kind === 'exited') return finalCode(output);
    }
    throw new BoxledgerError('Internal', 'the program’s output ended before the program');
  } catch (error) {
    if (names === undefined) throw startFailure(error);
    if (!(error instanceof Detached)) throw error;
    // On a terminal in raw mode a new line begins where the last one ended.
    io.stderr.write(`\r\ndetached; attach again: boxledger attach ${names.boxId} ${names.execId}\r\n`);
    return 0;
  } finally {
    for (const step of undo.reverse()) step();
  }
};

const checkTerminal = ({ io }: Session, { interactive, tty }: Attachment) => {
  if (!tty || !interactive || io.stdin.isTTY === true) return;
  throw new BoxledgerError('InvalidArgument', 'a program with a terminal needs one for its input', {
    help: 'Leave out -t to pipe into the program, or -i if nothing is to be typed.',
  });
};

/** Before the program runs, Ctrl-C ends the wait for it; then it is the program's. */
const passOn = (session: Session, exec: Exec, started: () => boolean) => {
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
  if (shown.kind === 'skipped') io.stderr.write(`boxledger: ${shown.bytes} bytes of output are lost\n`);
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
    case 'skipped':
      return { type: 'skipped', bytes: numberJson(output.bytes) };
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
export const startFailure = (error: unknown): unknown => {
  if (!(error instanceof BoxledgerError) || error.details['errno'] === undefined) return error;
  if (error.code === 'NotFound') return new FailureWithCode(error, exitCodes.notFound);
  if (error.code === 'PermissionDenied') return new FailureWithCode(error, exitCodes.notExecutable);
  return error;
};
