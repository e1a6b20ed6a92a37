import type { BoxRecord } from '../commands/event-store.ts';
import { failureOf } from '../events/failure.ts';
import type { ExecResponse } from '../gen/boxledger/v1/box_service.ts';
import type { ExecInput, ExecOutput, GuestExec } from '../guest/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { enterBox } from './admission.ts';
import type { ApiDeps } from './api-deps.ts';
import type { CallScope } from './call-scope.ts';
import { encodeExit } from './encode.ts';
import { ExecRecord } from './exec-record.ts';
import type { ExecParsed } from './requests.ts';

/**
 * Runs a program in a box and carries its streams. The caller's pace is the program's: output that the caller does not
 * take is not read from the guest, and input that the program does not take is not read from the caller. When the caller
 * goes, the program is killed. Whatever happens, the exec's stream in the log gets an end.
 */
export const exec = (deps: ApiDeps) =>
  async function* (
    requests: AsyncGenerator<ExecParsed, void>,
    scope: CallScope,
  ): AsyncGenerator<ExecResponse> {
    const { mutation, box: reference, autoStart = true, ...spec } = await startOf(requests);
    const execId = deps.ids.execId();
    const correlationId = deps.ids.correlationId();
    const visit = { reason: 'exec', autoStart, correlationId, causationId: execId } as const;
    const box = await enterBox(deps, reference, visit, scope);
    const guest = await deps.guests.open(box);
    const record = new ExecRecord(deps, execId, scope.caller, correlationId);
    await record.request(box, spec, scope.caller, mutation);

    const misuse = new AbortController();
    const signal = AbortSignal.any([scope.signal, misuse.signal]);
    const run = guest.exec(spec, defaultsOf(box), signal);
    void feed(run, requests, misuse);
    let begun = false;
    let cause: unknown;
    try {
      for await (const response of responses(run, record, box)) {
        begun = true;
        yield response;
      }
    } catch (error) {
      cause = signal.aborted ? signal.reason : error;
      if (!begun && !signal.aborted) await record.failed(failureOf(cause));
      throw inExec(cause, record, box);
    } finally {
      // Also when the caller has gone while an answer was on its way to it.
      await record.lost(failureOf(cause ?? signal.reason));
      misuse.abort();
    }
  };

const startOf = async (requests: AsyncGenerator<ExecParsed, void>) => {
  const first = await requests.next();
  const start = first.done === true ? undefined : first.value.start;
  if (start === undefined) throw fault('start', 'must be the first request');
  return start;
};

const defaultsOf = ({ boxId, view: { options } }: BoxRecord) => ({
  env: { ...options.env, BOXLEDGER_BOX_ID: boxId },
  workingDir: options.workingDir,
});

async function* responses(
  run: AsyncIterable<ExecOutput>,
  record: ExecRecord,
  { boxId }: BoxRecord,
): AsyncGenerator<ExecResponse> {
  let stdoutBytes = 0;
  let stderrBytes = 0;
  for await (const output of run) {
    switch (output.kind) {
      case 'started': {
        const { pid } = output;
        yield { message: { $case: 'started', value: { execId: record.execId, boxId, pid } } };
        await record.started({ pid });
        break;
      }
      case 'stdout':
        stdoutBytes += output.data.byteLength;
        yield { message: { $case: 'stdout', value: bufferOf(output.data) } };
        break;
      case 'stderr':
        stderrBytes += output.data.byteLength;
        yield { message: { $case: 'stderr', value: bufferOf(output.data) } };
        break;
      case 'exited': {
        const { exit, timedOut } = output;
        const durationMs = Math.round(output.durationMs);
        await record.exited({ exit, timedOut, durationMs, stdoutBytes, stderrBytes });
        const value = { exit: encodeExit(exit), timedOut, durationMs: BigInt(durationMs) };
        yield { message: { $case: 'exited', value } };
        return;
      }
      default:
        output satisfies never;
    }
  }
  throw new BoxledgerError('Unavailable', 'The guest ended the exec without saying how the program ended.');
}

/**
 * Carries the caller's requests to the program. A signal or a new size does not wait for input that the program has yet
 * to take. Never rejects: a request that makes no sense aborts `misuse`.
 */
const feed = async (
  run: GuestExec,
  requests: AsyncGenerator<ExecParsed, void>,
  misuse: AbortController,
): Promise<void> => {
  const fail = (error: unknown) => misuse.abort(error);
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
    await send({ kind: 'end' });
  } catch (error) {
    fail(error);
  }
};

const inputOf = (request: ExecParsed): ExecInput => {
  const { start, stdin, stdinEnd, resize, signal } = request;
  if (stdin !== undefined) return { kind: 'stdin', data: stdin };
  if (stdinEnd !== undefined) return { kind: 'end' };
  if (resize !== undefined) return { kind: 'resize', ...resize };
  if (signal !== undefined) return { kind: 'signal', signal };
  throw start === undefined
    ? fault('message', 'must be set')
    : fault('start', 'must be the first request only');
};

const fault = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));

/** The same error, saying which exec of which box it is about. */
const inExec = (cause: unknown, { execId }: ExecRecord, { boxId, name }: BoxRecord): unknown =>
  cause instanceof BoxledgerError
    ? new BoxledgerError(cause.code, cause.message, {
        help: cause.help,
        faults: cause.faults,
        details: { ...cause.details, execId, boxId, name },
        cause,
      })
    : cause;

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
