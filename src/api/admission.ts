import type { BoxRecord } from '../commands/event-store.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxId, boxIdPattern, boxStream, type CorrelationId } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox, forBox, submit } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import type { Admission } from './guest-access.ts';
import { outcomeOf } from './outcome.ts';

/** What wants to run in a box: the log names it as the cause of a start that it needs. */
export interface Visit {
  readonly reason: 'exec' | 'copy';
  readonly autoStart: boolean;
  readonly correlationId: CorrelationId;
  readonly causationId?: string | undefined;
}

/**
 * The box, running: as it is, once it has started, or after a start of our own. Throws the refusal of a box that cannot
 * run anything, or the failure of its start.
 */
export const enterBox = async (
  deps: ApiDeps,
  reference: string,
  visit: Visit,
  scope: CallScope,
): Promise<BoxRecord> => {
  // By its id, a box is looked for and asked about at once.
  const early = boxIdPattern.test(reference)
    ? deps.guests.admit(boxId(reference), visit.autoStart)
    : undefined;
  early?.catch(() => undefined); // a box that is not found says so first
  const found = await findBox(deps, scope.caller.tenant, reference);
  const admission = await (early ?? deps.guests.admit(found.boxId, visit.autoStart));
  const box = await admitted(deps, found, admission, visit, scope);
  if (box.view.state !== 'running')
    throw new BoxledgerError('InvalidState', `Box ${box.name} ran, and is ${box.view.state} again.`, {
      help: "The box's events say how it ended.",
      details: { boxId: box.boxId, name: box.name, state: box.view.state },
    });
  return box;
};

const admitted = async (
  deps: ApiDeps,
  found: BoxRecord,
  admission: Admission,
  visit: Visit,
  scope: CallScope,
): Promise<BoxRecord> => {
  const { boxId, tenant } = found;
  switch (admission.kind) {
    case 'run':
      return boxById(deps, tenant, boxId);
    case 'wait': {
      const box = await boxById(deps, tenant, boxId);
      const { version, view } = box;
      // It has gone on meanwhile, and what it waits for now is not the end of a start.
      if (view.state !== 'starting') return box;
      const asked = { kind: 'already-so', streamId: boxStream(boxId), version, events: [], view } as const;
      return outcomeOf(deps, 'start', asked, scope);
    }
    case 'start-first': {
      const { reason, correlationId, causationId } = visit;
      const started = await submit(
        deps,
        { type: 'box.start', boxId, placement: await deps.placement(found) },
        { ...scope.caller, reason, correlationId, causationId },
      );
      return outcomeOf(deps, 'start', forBox(started), scope);
    }
    case 'refused':
      throw BoxledgerError.fromRefusal(admission.refusal);
    default:
      return admission satisfies never;
  }
};
