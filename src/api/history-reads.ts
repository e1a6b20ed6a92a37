import type { z } from 'zod';
import type {
  Change,
  DiffResponse,
  GetAtResponse,
  ListAtResponse,
} from '../gen/boxledger/v1/history_service.ts';
import type { BoxId, TenantId } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import { type JsonChange, jsonChanges } from '../kernel/json-changes.ts';
import { limits } from '../kernel/limits.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById } from './box-access.ts';
import { boxAtMoment } from './box-moments.ts';
import type { CallScope } from './call-scope.ts';
import { encodeBox, encodeEvent } from './encode.ts';
import type { diffSchema, getAtSchema, listAtSchema } from './history-requests.ts';

/** What was. */

export const getAt =
  (deps: ApiDeps) =>
  async ({ box, at }: z.infer<typeof getAtSchema>, { caller, signal }: CallScope): Promise<GetAtResponse> => {
    const { view, version, event } = await boxAtMoment(deps, caller.tenant, box, at, signal);
    return { box: encodeBox(view, version), event: encodeEvent(event, '') };
  };

export const listAt =
  (deps: ApiDeps) =>
  async (request: z.infer<typeof listAtSchema>, { caller, signal }: CallScope): Promise<ListAtResponse> => {
    const { at, states, labels, namePrefix, includeRemoved, pageSize, pageToken } = request;
    const page = await deps.moments.fleetAt(
      caller.tenant,
      at,
      { states, labels, namePrefix: namePrefix === '' ? undefined : namePrefix, includeRemoved },
      { size: pageSize === 0 ? limits.pageSizeDefault : pageSize, token: pageToken },
      signal,
    );
    return {
      boxes: page.boxes.map(({ view, version }) => encodeBox(view, version)),
      nextPageToken: page.nextPageToken,
    };
  };

export const diff =
  (deps: ApiDeps) =>
  async (
    request: z.infer<typeof diffSchema>,
    { caller: { tenant }, signal }: CallScope,
  ): Promise<DiffResponse> => {
    const from = await boxAtMoment(deps, tenant, request.box, request.from, signal);
    const { boxId } = from.view;
    const to = await boxAtMoment(
      deps,
      tenant,
      boxId,
      request.to ?? (await present(deps, tenant, boxId)),
      signal,
    );
    return {
      from: encodeBox(from.view, from.version),
      to: encodeBox(to.view, to.version),
      view: jsonChanges(asJson(from.view), asJson(to.view)).map(encodeChange),
      statechart: jsonChanges(from.statechart, to.statechart).map(encodeChange),
    };
  };

const present = async (deps: ApiDeps, tenant: TenantId, boxId: BoxId) => {
  const { version } = await boxById(deps, tenant, boxId);
  return { kind: 'version', version } as const;
};

/** A view is JSON, but for optional fields that TypeScript thinks may hold `undefined`. */
const asJson = (view: object): JsonValue => JSON.parse(JSON.stringify(view)) as JsonValue;

const encodeChange = ({ path, before, after }: JsonChange): Change => ({
  path,
  beforeJson: before === undefined ? undefined : JSON.stringify(before),
  afterJson: after === undefined ? undefined : JSON.stringify(after),
});
