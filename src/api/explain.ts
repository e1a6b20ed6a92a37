import type { BoxRecord } from '../commands/event-store.ts';
import type { Explanation, PlannedEvent } from '../commands/explainer.ts';
import type { Command } from '../events/commands.ts';
import type { EffectIntent } from '../events/effects.ts';
import { execSpecSchema } from '../events/exec-events.ts';
import type * as wire from '../gen/boxledger/v1/history_service.ts';
import type { Refusal } from '../kernel/errors.ts';
import { msOf } from '../kernel/time.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import type { Caller } from './caller.ts';
import { commandAsked } from './command-asked.ts';
import { encodeBox, encodeRecord } from './encode.ts';
import { recordedOf } from './exec-log.ts';
import type { ExplainParsed } from './history-requests.ts';

/** What would be: the same commands as the calls that change boxes make of the same requests, asked and not submitted. */
export const explain =
  (deps: ApiDeps) =>
  async (request: ExplainParsed, { caller }: CallScope): Promise<wire.ExplainResponse> => {
    const box = await findBox(deps, caller.tenant, request.box);
    const answer =
      request.exec === undefined
        ? answerOf(box, await ask(deps, await commandAsked(deps, request, box), request, caller))
        : await explainExec(deps, { ...request, exec: request.exec }, box, caller);
    return { box: encodeRecord(await boxById(deps, box.tenant, box.boxId)), answer };
  };

type Answer = NonNullable<wire.ExplainResponse['answer']>;

const ask = (
  deps: ApiDeps,
  command: Command,
  { expectedVersion }: Pick<ExplainParsed, 'expectedVersion'>,
  { tenant, actor }: Caller,
) => deps.explainer.explain(command, { tenant, actor, expectedVersion });

/** As `enterBox` and what follows it do: an exec runs, waits for a start, or makes one, and is then on record itself. */
const explainExec = async (
  deps: ApiDeps,
  { exec, expectedVersion }: ExplainParsed & { readonly exec: NonNullable<ExplainParsed['exec']> },
  box: BoxRecord,
  caller: Caller,
): Promise<Answer> => {
  const { boxId, view } = box;
  const admission = await deps.guests.admit(boxId, exec.autoStart ?? true);
  if (admission.kind === 'refused') return refused(admission.refusal);
  const started =
    admission.kind === 'start-first'
      ? await ask(
          deps,
          { type: 'box.start', boxId, placement: await deps.placement(box) },
          { expectedVersion },
          caller,
        )
      : undefined;
  if (started?.kind === 'refused') return refused(started.refusal);
  const start = started?.kind === 'accepted' ? started : undefined;
  const spec = execSpecSchema.parse({ command: exec.command, args: exec.args });
  const generation = (start?.events.at(-1)?.view ?? view).generation;
  const execId = deps.ids.execId();
  const recorded = recordedOf(execId, spec, view.options);
  const run = await ask(
    deps,
    { type: 'exec.request', execId, boxId, generation, spec, recorded },
    { expectedVersion: undefined },
    caller,
  );
  if (run.kind !== 'accepted') return answerOf(box, run);
  const onceRunning = admission.kind !== 'run';
  const after = start?.events.at(-1);
  return {
    $case: 'accepted',
    value: {
      box: after?.view == null ? encodeRecord(box) : encodeBox(after.view, after.version),
      events: [
        ...(start?.events ?? []).map((event) => encodePlanned(event)),
        ...run.events.map((event) => ({ ...encodePlanned(event), streamId: '', onceRunning })),
      ],
      effects: (start?.effects ?? []).map(encodeEffect),
      cancels: [...(start?.cancels ?? [])],
    },
  };
};

const answerOf = (box: BoxRecord, explanation: Explanation): Answer => {
  switch (explanation.kind) {
    case 'accepted': {
      const { events, effects, cancels } = explanation;
      const last = events.at(-1);
      return {
        $case: 'accepted',
        value: {
          box: last?.view == null ? encodeRecord(box) : encodeBox(last.view, last.version),
          events: events.map(encodePlanned),
          effects: effects.map(encodeEffect),
          cancels: [...cancels],
        },
      };
    }
    case 'already-so':
      return { $case: 'alreadySo', value: {} };
    case 'refused':
      return refused(explanation.refusal);
    default:
      return explanation satisfies never;
  }
};

const refused = ({ code, message, help, details }: Refusal): Answer => ({
  $case: 'refused',
  value: { code, message, help: help ?? '', detailsJson: JSON.stringify(details ?? {}) },
});

const encodePlanned = ({ streamId, version, event, view }: PlannedEvent): wire.PlannedEvent => ({
  streamId,
  version,
  type: event.type,
  dataJson: JSON.stringify(event.data),
  state: view?.state ?? '',
  onceRunning: false,
});

const encodeEffect = (effect: EffectIntent): wire.PlannedEffect => ({
  effectId: effect.effectId,
  kind: effect.kind,
  hostId: effect.placement.hostId,
  notBefore: effect.notBefore === null ? undefined : new Date(msOf(effect.notBefore)),
  deadline: new Date(msOf(effect.deadline)),
});
