import type { z } from 'zod';
import { type ExecView, execViewOf, isOver } from '../events/exec-view.ts';
import type { ExecResponse } from '../gen/boxledger/v1/box_service.ts';
import type {
  ExecInfo,
  GetExecResponse,
  ListExecsResponse,
  SignalExecResponse,
  StartExecResponse,
  WaitExecResponse,
} from '../gen/boxledger/v1/exec_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type ExecId, execStream, noVersion, type TenantId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { msOf, type Timestamp } from '../kernel/time.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { encodeExit, encodeFailure } from './encode.ts';
import type {
  AttachParsed,
  execReferenceSchema,
  listExecsSchema,
  signalExecSchema,
  startExecSchema,
} from './exec-requests.ts';
import { inExec, startExec } from './exec-start.ts';
import { fault, feed, relay } from './exec-streams.ts';

/** Execs that somebody has asked for: to be looked at, waited for, attached to and signalled. */

export const start =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof startExecSchema>, scope: CallScope): Promise<StartExecResponse> => {
    const begun = await startExec(deps, request.start, scope, async (guest, asked, signal) => ({
      pid: await guest.startExec(asked.execId, asked.spec, asked.defaults, signal),
      result: undefined,
    }));
    const { execId, boxId } = begun.names;
    return { execId, boxId, pid: begun.pid };
  };

export const attach = (deps: ApiDeps) =>
  async function* (
    requests: AsyncGenerator<AttachParsed, void>,
    scope: CallScope,
  ): AsyncGenerator<ExecResponse> {
    const first = await requests.next();
    const asked = first.done === true ? undefined : first.value.attach;
    if (asked === undefined) throw fault('attach', 'must be the first request');
    const { execId, offset } = asked;
    const { box, guest } = await guestOf(deps, await execById(deps, scope.caller.tenant, execId));
    const attached = new AbortController();
    const signal = AbortSignal.any([scope.signal, attached.signal]);
    const run = guest.attachExec(execId, offset, signal);
    void feed(run, requests, attached, false);
    try {
      yield* relay(deps, run, { execId, boxId: box.boxId, name: box.name }, signal);
    } finally {
      attached.abort();
    }
  };

export const get =
  (deps: ApiDeps) =>
  async (
    { execId }: z.infer<typeof execReferenceSchema>,
    { caller }: CallScope,
  ): Promise<GetExecResponse> => ({
    exec: encodeExec(await execById(deps, caller.tenant, execId)),
  });

export const wait =
  (deps: ApiDeps) =>
  async (
    { execId }: z.infer<typeof execReferenceSchema>,
    { caller, waitSignal }: CallScope,
  ): Promise<WaitExecResponse> => {
    await execById(deps, caller.tenant, execId);
    const ended = async () => {
      const view = await execById(deps, caller.tenant, execId);
      return isOver(view) ? view : undefined;
    };
    return { exec: encodeExec(await deps.feed.until(execStream(execId), ended, waitSignal)) };
  };

export const list =
  (deps: ApiDeps) =>
  async (
    { box, includeEnded, pageSize, pageToken }: z.infer<typeof listExecsSchema>,
    { caller }: CallScope,
  ): Promise<ListExecsResponse> => {
    const { boxId } = await findBox(deps, caller.tenant, box);
    const page = { size: pageSize || limits.pageSizeDefault, token: pageToken };
    const { execIds, nextPageToken } = await deps.execs.list(boxId, includeEnded, page);
    const views = await Promise.all(execIds.map((execId) => viewOf(deps, execId).catch(unlessArchived)));
    return { execs: views.filter((view) => view !== undefined).map(encodeExec), nextPageToken };
  };

export const signal =
  (deps: ApiDeps) =>
  async (
    { execId, signal: name }: z.infer<typeof signalExecSchema>,
    scope: CallScope,
  ): Promise<SignalExecResponse> => {
    const view = await execById(deps, scope.caller.tenant, execId);
    if (isOver(view)) return {};
    const { box, guest } = await guestOf(deps, view);
    try {
      await guest.signalExec(execId, name, scope.signal);
    } catch (error) {
      throw inExec(error, { execId, boxId: box.boxId, name: box.name });
    }
    return {};
  };

/** What has left the database for an archive is not listed; its own look-up says where it is. */
const unlessArchived = (error: unknown): undefined => {
  if (!(error instanceof BoxledgerError && error.code === 'InvalidState')) throw error;
};

const viewOf = async (deps: ApiDeps, execId: ExecId): Promise<ExecView | undefined> =>
  execViewOf(await deps.log.readStream(execStream(execId), noVersion, limits.pageSizeDefault));

/** Throws `NotFound`, also for the exec of another tenant. */
const execById = async (deps: ApiDeps, tenant: TenantId, execId: ExecId): Promise<ExecView> => {
  const view = await viewOf(deps, execId);
  if (view?.tenant === tenant) return view;
  throw new BoxledgerError('NotFound', `There is no exec ${execId}.`, {
    help: 'List the execs of a box to see their ids.',
    details: { execId },
  });
};

/** What is inside the box of an exec. Throws `InvalidState` when that does not run: nothing of the exec is kept then. */
const guestOf = async (deps: ApiDeps, { tenant, boxId }: ExecView) => {
  const admission = await deps.guests.admit(boxId, false);
  if (admission.kind === 'refused') throw BoxledgerError.fromRefusal(admission.refusal);
  const box = await boxById(deps, tenant, boxId);
  if (admission.kind === 'run') return { box, guest: await deps.guests.open(box) };
  throw new BoxledgerError('InvalidState', `Box ${box.name} is ${box.view.state}, and keeps no execs.`, {
    help: 'What is known of the exec is in the log.',
    details: { boxId, name: box.name, state: box.view.state },
  });
};

const encodeExec = (view: ExecView): ExecInfo => ({
  execId: view.execId,
  boxId: view.boxId,
  generation: view.generation,
  state: view.state,
  program:
    view.program.kind === 'full' ? { command: view.program.command, args: view.program.args } : undefined,
  pid: view.pid ?? undefined,
  exited:
    view.end === null
      ? undefined
      : {
          exit: encodeExit(view.end.exit),
          timedOut: view.end.timedOut,
          durationMs: BigInt(view.end.durationMs),
        },
  failure: view.failure === null ? undefined : encodeFailure(view.failure),
  requestedAt: new Date(msOf(view.requestedAt)),
  startedAt: dateOf(view.startedAt),
  endedAt: dateOf(view.endedAt),
  user: view.user ?? undefined,
  tty: view.tty,
});

const dateOf = (at: Timestamp | null) => (at === null ? undefined : new Date(msOf(at)));
