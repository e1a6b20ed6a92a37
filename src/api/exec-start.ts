import type { BoxRecord } from '../commands/event-store.ts';
import type { ExecSpec } from '../events/exec-events.ts';
import { failureOf } from '../events/failure.ts';
import type { ExecDefaults, Guest } from '../guest/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ExecId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { enterBox } from './admission.ts';
import type { ApiDeps } from './api-deps.ts';
import type { CallScope } from './call-scope.ts';
import { ExecRecord } from './exec-record.ts';
import type { ExecStartParsed } from './requests.ts';

/** What an exec is, to those who speak of it. */
export interface ExecNames {
  readonly execId: ExecId;
  readonly boxId: string;
  readonly name: string;
}

interface Begun<Result> {
  readonly names: ExecNames;
  readonly pid: number;
  readonly result: Result;
}

/** How a guest is asked to start the program. The signal is for the start alone. */
type Begin<Result> = (
  guest: Guest,
  asked: { readonly execId: ExecId; readonly spec: ExecSpec; readonly defaults: ExecDefaults },
  signal: AbortSignal,
) => Promise<{ readonly pid: number; readonly result: Result }>;

/**
 * Brings an exec on record and its program to run; from there on the keeper sees to its end. That the caller goes does not
 * stop what it has asked for. Throws what kept the program from starting, which is then on record too; or
 * what kept us from hearing of it, and then the keeper finds out.
 */
export const startExec = async <Result>(
  deps: ApiDeps,
  { mutation, box: reference, autoStart = true, ...spec }: ExecStartParsed,
  scope: CallScope,
  begin: Begin<Result>,
): Promise<Begun<Result>> => {
  const execId = deps.ids.execId();
  const correlationId = deps.ids.correlationId();
  const visit = { reason: 'exec', autoStart, correlationId, causationId: execId } as const;
  const box = await enterBox(deps, reference, visit, scope);
  const guest = await deps.guests.open(box);
  const record = new ExecRecord(deps, execId, scope.caller, correlationId);
  await record.request(box, spec, scope.caller, mutation);

  const { boxId, name, view } = box;
  const names = { execId, boxId, name };
  const kept = { execId, boxId, generation: view.generation, meta: record.meta };
  const starting = new AbortController();
  const giveUp = () =>
    starting.abort(new BoxledgerError('DeadlineExceeded', 'The box did not start the program in time.'));
  const timer = setTimeout(giveUp, limits.execStartTimeoutMs);
  try {
    const { pid, result } = await begin(guest, { execId, spec, defaults: defaultsOf(box) }, starting.signal);
    deps.keeper.keep(kept, pid);
    return { names, pid, result };
  } catch (error) {
    if (isAnswer(error)) await record.failed(failureOf(error));
    else deps.keeper.find(kept, failureOf(error));
    throw inExec(error, names);
  } finally {
    clearTimeout(timer);
  }
};

/** Of the box's agent, which has not started the program then; anything else may have kept us from hearing that it has. */
const isAnswer = (error: unknown): boolean =>
  error instanceof BoxledgerError && !['Unavailable', 'DeadlineExceeded', 'Internal'].includes(error.code);

const defaultsOf = ({ boxId, view: { options } }: BoxRecord): ExecDefaults => ({
  env: { ...options.env, BOXLEDGER_BOX_ID: boxId },
  workingDir: options.workingDir,
});

/** The same error, saying which exec of which box it is about. */
export const inExec = (cause: unknown, { execId, boxId, name }: ExecNames): unknown =>
  cause instanceof BoxledgerError
    ? new BoxledgerError(cause.code, cause.message, {
        help: cause.help,
        faults: cause.faults,
        details: { ...cause.details, execId, boxId, name },
        cause,
      })
    : cause;
