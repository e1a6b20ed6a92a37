import { BoxledgerError, type Fault } from '../kernel/errors.ts';
import { exitCodeOfSignal, exitCodes } from './exit-codes.ts';
import type { CliIo, EndingSignal } from './io.ts';
import { errorJson } from './json-forms.ts';
import { OutputClosed } from './output.ts';
import { visible } from './visible.ts';

/** The user ended the command. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: EndingSignal;
  constructor(signal: EndingSignal) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

/** A failure that asks for another exit code than boxledger's usual one. */
export class FailureWithCode extends Error {
  readonly exitCode: number;
  constructor(cause: unknown, exitCode: number) {
    super('failed', { cause });
    this.exitCode = exitCode;
  }
}

/** Says on standard error what went wrong, unless it was the user's own wish. Returns the exit code. */
export const reportFailure = (io: CliIo, error: unknown, json: boolean): number => {
  if (error instanceof OutputClosed) return exitCodeOfSignal('SIGPIPE');
  if (error instanceof Interrupted) return exitCodeOfSignal(error.signal);
  if (error instanceof FailureWithCode) {
    reportFailure(io, error.cause, json);
    return error.exitCode;
  }
  io.stderr.write(json ? `${JSON.stringify({ error: errorJson(error) })}\n` : failureText(error));
  return exitCodes.ownFailure;
};

const failureText = (error: unknown): string => {
  if (!(error instanceof BoxledgerError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `boxledger: this should not have happened: ${text.split('\n').map(visible).join('\n')}\n`;
  }
  const { message, faults, help, details } = error;
  const lines = [
    `boxledger: ${faults.length > 1 ? `${faults.length} faults:` : visible(message)}`,
    ...(faults.length > 1 || !faults.every(({ problem }) => message.includes(problem)) ? faults : []).map(
      faultLine,
    ),
    ...Object.entries(details).flatMap(([key, value]) =>
      typeof value === 'string' && value.includes('\n')
        ? [
            `  ${visible(key)}:`,
            ...value
              .trimEnd()
              .split('\n')
              .map((line) => `    ${visible(line)}`),
          ]
        : [],
    ),
    ...(help === undefined ? [] : [visible(help)]),
  ];
  return `${lines.join('\n')}\n`;
};

const faultLine = ({ field, problem }: Fault) => `  ${visible(field)}: ${visible(problem)}`;
