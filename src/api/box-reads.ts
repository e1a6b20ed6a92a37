import type { z } from 'zod';
import type {
  GetResponse,
  ListResponse,
  WaitResponse,
  WatchResponse,
} from '../gen/boxledger/v1/box_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxStream } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { encodeEvent, encodeRecord } from './encode.ts';
import { withStateAtDeadline } from './outcome.ts';
import type { getSchema, listSchema, waitSchema, watchSchema } from './requests.ts';

/** The calls that look at boxes. */

export const get =
  (deps: ApiDeps) =>
  async ({ box }: z.infer<typeof getSchema>, { caller }: CallScope): Promise<GetResponse> => ({
    box: encodeRecord(await findBox(deps, caller.tenant, box)),
  });

export const list =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof listSchema>, { caller }: CallScope): Promise<ListResponse> => {
    const { states, labels, namePrefix, includeRemoved, pageSize, pageToken } = request;
    const page = await deps.boxes.list(
      caller.tenant,
      {
        states: states.length === 0 ? undefined : states,
        labels,
        namePrefix: namePrefix === '' ? undefined : namePrefix,
        includeRemoved: includeRemoved || states.includes('removed'),
      },
      { size: pageSize === 0 ? limits.pageSizeDefault : pageSize, token: pageToken },
    );
    return { boxes: page.boxes.map(encodeRecord), nextPageToken: page.nextPageToken };
  };

export const wait =
  (deps: ApiDeps) =>
  async ({ box, states }: z.infer<typeof waitSchema>, scope: CallScope): Promise<WaitResponse> => {
    const { boxId, tenant, view } = await findBox(deps, scope.caller.tenant, box);
    const check = async () => {
      const now = await boxById(deps, tenant, boxId);
      return now.view.state === 'removed' || states.includes(now.view.state) ? now : undefined;
    };
    const reached = await withStateAtDeadline(deps, view, scope, () =>
      deps.feed.untilBox(boxId, check, scope.waitSignal),
    );
    if (!states.includes(reached.view.state))
      throw new BoxledgerError('InvalidState', `Box ${reached.name} has been removed.`, {
        help: 'A removed box never changes again.',
        details: { boxId, name: reached.name, state: reached.view.state },
      });
    return { box: encodeRecord(reached) };
  };

export const watch = (deps: ApiDeps) =>
  async function* (
    { box, types, cursor, fromNow }: z.infer<typeof watchSchema>,
    { caller, signal }: CallScope,
  ): AsyncGenerator<WatchResponse> {
    const one = box === undefined ? undefined : await findBox(deps, caller.tenant, box);
    const filter = {
      tenant: caller.tenant,
      categories: ['box'],
      streamId: one === undefined ? undefined : boxStream(one.boxId),
      types: types.length === 0 ? undefined : types,
    };
    for await (const item of deps.feed.follow({ from: fromNow ? 'now' : cursor, filter, signal })) {
      yield {
        message:
          item.kind === 'event'
            ? { $case: 'event', value: encodeEvent(item.event, item.event.cursor) }
            : { $case: 'caughtUp', value: { cursor: item.cursor } },
      };
    }
    signal.throwIfAborted();
  };
