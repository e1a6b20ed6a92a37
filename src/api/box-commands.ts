import type { z } from 'zod';
import type { BoxRecord } from '../commands/event-store.ts';
import { type BoxOptions, boxOptionsSchema } from '../events/box-options.ts';
import type { BoxCommand } from '../events/commands.ts';
import type {
  CreateResponse,
  PauseResponse,
  RemoveResponse,
  RenameResponse,
  RestartResponse,
  ResumeResponse,
  StartResponse,
  StopResponse,
} from '../gen/boxledger/v1/box_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ApiDeps } from './api-deps.ts';
import {
  type AcceptedForBox,
  boxAnswered,
  findBox,
  forBox,
  lastRemoved,
  metaOf,
  submit,
} from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { encodeBox, encodeRecord } from './encode.ts';
import { snakeCase } from './field-path.ts';
import { madeUpSuffix } from './made-up.ts';
import { type Change, outcomeOf } from './outcome.ts';
import type {
  CreateParsed,
  Mutation,
  pauseSchema,
  removeSchema,
  renameSchema,
  restartSchema,
  resumeSchema,
  startSchema,
  stopSchema,
} from './requests.ts';

/** The calls that change boxes. */

export const create =
  (deps: ApiDeps) =>
  async (request: CreateParsed, { caller }: CallScope): Promise<CreateResponse> => {
    const { mutation, options, getOrCreate } = request;
    const boxId = deps.ids.boxId();
    const name = request.name ?? `box-${madeUpSuffix(boxId, mutation)}`;
    const answer = await deps.door.submit(
      { type: 'box.create', boxId, name, options },
      metaOf(caller, mutation),
    );
    if (answer.kind !== 'refused') {
      const { view, version } = forBox(answer);
      return { box: encodeBox(view, version), created: true };
    }
    if (!getOrCreate || answer.refusal.code !== 'AlreadyExists')
      throw BoxledgerError.fromRefusal(answer.refusal);
    const existing = await findBox(deps, caller.tenant, name);
    const differing = differences(options, existing.view.options);
    if (differing.length > 0)
      throw new BoxledgerError(
        'AlreadyExists',
        `Box ${name} exists with other options: ${differing.join(', ')}.`,
        {
          help: 'Ask for the same options, or choose another name.',
          details: { boxId: existing.boxId, name, differing },
        },
      );
    return { box: encodeRecord(existing), created: false };
  };

const differences = (asked: BoxOptions, has: BoxOptions): readonly string[] =>
  Object.keys(boxOptionsSchema.shape).flatMap((key) => {
    const option = key as keyof BoxOptions; // Object.keys forgets the literal types
    return sorted(asked[option]) === sorted(has[option]) ? [] : [snakeCase(option)];
  });

const sorted = (value: BoxOptions[keyof BoxOptions]): string | undefined =>
  JSON.stringify(
    typeof value === 'object' ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) : value,
  );

export const start =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof startSchema>, scope: CallScope): Promise<StartResponse> =>
    change(deps, 'start', request, scope, async (box) => ({
      type: 'box.start',
      boxId: box.boxId,
      placement: await deps.placement(box),
    }));

export const stop =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof stopSchema>, scope: CallScope): Promise<StopResponse> =>
    change(deps, 'stop', request, scope, ({ boxId }) => ({
      type: 'box.stop',
      boxId,
      timeoutMs: request.timeoutMs,
    }));

export const pause =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof pauseSchema>, scope: CallScope): Promise<PauseResponse> =>
    change(deps, 'pause', request, scope, ({ boxId }) => ({
      type: 'box.pause',
      boxId,
      maxDurationMs: request.maxDurationMs,
      toDisk: request.toDisk,
    }));

export const resume =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof resumeSchema>, scope: CallScope): Promise<ResumeResponse> =>
    change(deps, 'resume', request, scope, ({ boxId }) => ({ type: 'box.resume', boxId }));

export const restart =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof restartSchema>, scope: CallScope): Promise<RestartResponse> =>
    change(deps, 'restart', request, scope, async (box) => ({
      type: 'box.restart',
      boxId: box.boxId,
      placement: await deps.placement(box),
      timeoutMs: request.timeoutMs,
    }));

/** Asked for again, its box goes by the old name no more: the command's own answer says which box it was. */
export const rename =
  (deps: ApiDeps) =>
  async (
    { box, name, mutation }: z.infer<typeof renameSchema>,
    { caller }: CallScope,
  ): Promise<RenameResponse> => {
    const { boxId } =
      (await boxAnswered(deps, caller.tenant, mutation)) ?? (await findBox(deps, caller.tenant, box));
    const answer = forBox(await submit(deps, { type: 'box.rename', boxId, name }, metaOf(caller, mutation)));
    return { box: encodeBox(answer.view, answer.version) };
  };

export const remove =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof removeSchema>, scope: CallScope): Promise<RemoveResponse> => {
    const command = ({ boxId }: BoxRecord): BoxCommand => ({
      type: 'box.remove',
      boxId,
      force: request.force,
    });
    try {
      return await change(deps, 'remove', request, scope, command);
    } catch (error) {
      return (await removedBefore(deps, request, scope, command, error)) ?? Promise.reject(error);
    }
  };

/**
 * The first answer to a removal that is asked for again: its box goes by its name no more. Undefined when the box of that
 * name was removed by another command.
 */
const removedBefore = async (
  deps: ApiDeps,
  request: ChangeRequest,
  scope: CallScope,
  command: (box: BoxRecord) => BoxCommand,
  error: unknown,
): Promise<RemoveResponse | undefined> => {
  if (!(error instanceof BoxledgerError) || error.code !== 'NotFound') return undefined;
  if (request.mutation.commandId === undefined) return undefined;
  const removed = await lastRemoved(deps, scope.caller.tenant, request.box);
  if (removed === undefined) return undefined;
  const answer = forBox(await submit(deps, command(removed), metaOf(scope.caller, request.mutation)));
  return answer.kind === 'accepted' ? respond(deps, 'remove', answer, request.wait, scope) : undefined;
};

interface ChangeRequest {
  readonly mutation: Mutation;
  readonly box: string;
  readonly wait: boolean;
}

const change = async (
  deps: ApiDeps,
  what: Change,
  { mutation, box, wait }: ChangeRequest,
  scope: CallScope,
  command: (box: BoxRecord) => BoxCommand | Promise<BoxCommand>,
) => {
  const found = await findBox(deps, scope.caller.tenant, box);
  const answer = forBox(await submit(deps, await command(found), metaOf(scope.caller, mutation)));
  return respond(deps, what, answer, wait, scope);
};

const respond = async (
  deps: ApiDeps,
  what: Change,
  answer: AcceptedForBox,
  wait: boolean,
  scope: CallScope,
) => ({
  box: wait
    ? encodeRecord(await outcomeOf(deps, what, answer, scope))
    : encodeBox(answer.view, answer.version),
});
