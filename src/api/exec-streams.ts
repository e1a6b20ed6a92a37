import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecResponse } from '../gen/boxledger/v1/box_service.ts';
import type { ExecInput, ExecOutput, GuestExec } from '../guest/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { unlessAborted } from '../kernel/unless-aborted.ts';
import type { ApiDeps } from './api-deps.ts';
import { encodeExit } from './encode.ts';
import { type ExecNames, inExec } from './exec-start.ts';

/**
 * The streams of a caller that is attached to a program. The caller's pace is the program's: output that the caller does
 * not take is not read from the guest, and input that the program does not take is not read from the caller. When the
 * caller goes, or says what makes no sense, it is attached no more, and the program goes on.
 */

/** What a caller says after it is attached, as both services have it. */
export interface Said {
  readonly stdin?: Uint8Array | undefined;
  readonly stdinEnd?: object | undefined;
  readonly resize?: { readonly rows: number; readonly cols: number } | undefined;
  readonly signal?: string | undefined;
}

/** `exited` comes once the log has it. */
export async function* relay(
  deps: ApiDeps,
  outputs: AsyncIterable<ExecOutput>,
  names: ExecNames,
  signal: AbortSignal,
): AsyncGenerator<ExecResponse> {
  const { execId, boxId } = names;
  try {
    for await (const output of outputs) {
      switch (output.kind) {
        case 'started':
          yield { message: { $case: 'started', value: { execId, boxId, pid: output.pid } } };
          break;
        case 'stdout':
        case 'stderr':
          yield { message: { $case: output.kind, value: bufferOf(output.data) } };
          break;
        case 'skipped':
          yield { message: { $case: 'skipped', value: { bytes: BigInt(output.bytes) } } };
          break;
        case 'exited': {
          const { exit, timedOut, durationMs } = output;
          await unlessAborted(deps.keeper.recorded(execId), signal);
          const value = { exit: encodeExit(exit), timedOut, durationMs: BigInt(durationMs) };
          yield { message: { $case: 'exited', value } };
          return;
        }
        default:
          output satisfies never;
      }
    }
  } catch (error) {
    // The box may have ended: then the caller hears of it once the log has it.
    if (!signal.aborted) await unlessAborted(deps.keeper.recorded(execId), signal).catch(() => undefined);
    throw inExec(signal.aborted ? signal.reason : error, names);
  }
  throw new BoxledgerError('Unavailable', 'The guest ended the call without saying how the program ended.');
}

/**
 * Carries the caller's requests to the program. A signal or a new size does not wait for input that the program has yet
 * to take. Never rejects: a request that makes no sense aborts `attached`. `endsInput`: whether the program's input is at
 * its end when the caller has nothing more to say.
 */
export const feed = async (
  run: GuestExec,
  requests: AsyncGenerator<Said, void>,
  attached: AbortController,
  endsInput: boolean,
): Promise<void> => {
  const fail = (error: unknown) => attached.abort(error);
  let input = Promise.resolve();
  const send = async (next: ExecInput) => {
    await input;
    input = run.send(next);
    input.catch(fail);
  };
  try {
    for await (const request of requests) {
      const next = inputOf(request);
      if (next.kind === 'stdin' || next.kind === 'end') await send(next);
      else await run.send(next);
    }
    // A caller that was cut off must not look like one that has said everything.
    await nextTurn();
    if (endsInput && !attached.signal.aborted) await send({ kind: 'end' });
  } catch (error) {
    fail(error);
  }
};

const inputOf = ({ stdin, stdinEnd, resize, signal, ...other }: Said): ExecInput => {
  if (stdin !== undefined) return { kind: 'stdin', data: stdin };
  if (stdinEnd !== undefined) return { kind: 'end' };
  if (resize !== undefined) return { kind: 'resize', ...resize };
  if (signal !== undefined) return { kind: 'signal', signal };
  const [first] = Object.keys(other);
  throw first === undefined
    ? fault('message', 'must be set')
    : fault(first, 'must be the first request only');
};

export const fault = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
