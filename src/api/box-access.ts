import type { Answer, CommandMeta } from '../commands/door.ts';
import type { BoxRecord } from '../commands/event-store.ts';
import type { BoxView } from '../events/box-view.ts';
import type { Command } from '../events/commands.ts';
import { assert } from '../kernel/assert.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { type BoxId, boxOfStream, type TenantId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import type { ApiDeps } from './api-deps.ts';
import type { Caller } from './caller.ts';
import type { Mutation } from './requests.ts';

/** What every service does with boxes: find the one that is meant, and ask the door for something. */

/** Throws `NotFound`, or `InvalidArgument` naming the boxes that a prefix fits. */
export const findBox = async (deps: ApiDeps, tenant: TenantId, reference: string): Promise<BoxRecord> => {
  const lookup = await deps.boxes.find(tenant, reference);
  switch (lookup.kind) {
    case 'found':
      return lookup.box;
    case 'none':
      throw new BoxledgerError('NotFound', `There is no box ${reference}.`, {
        help: 'List the boxes to see their names and ids; a removed box is found by its whole id only.',
        details: { box: reference },
      });
    case 'ambiguous':
      throw BoxledgerError.fromRefusal({
        ...invalidArgument([
          {
            field: 'box',
            problem: `${reference} fits several boxes, such as ${lookup.boxIds.join(', ')}`,
          },
        ]),
        details: { boxIds: lookup.boxIds },
      });
    default:
      return lookup satisfies never;
  }
};

/** The box as it is now. */
export const boxById = (deps: ApiDeps, tenant: TenantId, boxId: BoxId): Promise<BoxRecord> =>
  findBox(deps, tenant, boxId);

/** The box that the command with this id was answered for; undefined when it never was, or for something else. */
export const boxAnswered = async (
  deps: ApiDeps,
  tenant: TenantId,
  { commandId }: Mutation,
): Promise<BoxRecord | undefined> => {
  if (commandId === undefined) return undefined;
  const answer = await deps.history.answerTo(tenant, commandId);
  if (answer === undefined || !answer.streamId.startsWith('box/')) return undefined;
  return boxById(deps, tenant, boxOfStream(answer.streamId));
};

/** The box that had the name last, of those that are removed. */
export const lastRemoved = async (
  deps: ApiDeps,
  tenant: TenantId,
  name: string,
): Promise<BoxRecord | undefined> => {
  let last: BoxRecord | undefined;
  for (let token = ''; ; ) {
    const filter = { states: ['removed'], namePrefix: name, includeRemoved: true };
    const page = await deps.boxes.list(tenant, filter, { size: limits.pageSizeMax, token });
    last = page.boxes.findLast((box) => box.name === name) ?? last;
    if (page.nextPageToken === '') return last;
    token = page.nextPageToken;
  }
};

export const metaOf = (caller: Caller, mutation: Mutation): CommandMeta => ({ ...caller, ...mutation });

export type Accepted = Exclude<Answer, { kind: 'refused' }>;
export type AcceptedForBox = Accepted & { readonly view: BoxView };

/** Throws a refusal as the error that it becomes at this edge. */
export const submit = async (deps: ApiDeps, command: Command, meta: CommandMeta): Promise<Accepted> => {
  const answer = await deps.door.submit(command, meta);
  if (answer.kind === 'refused') throw BoxledgerError.fromRefusal(answer.refusal);
  return answer;
};

export const forBox = (answer: Accepted): AcceptedForBox => {
  const { view } = answer;
  assert(view !== null, `a command to ${answer.streamId} was answered without the box`);
  return { ...answer, view };
};
