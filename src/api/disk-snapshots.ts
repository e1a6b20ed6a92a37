import type { z } from 'zod';
import type { BoxView } from '../events/box-view.ts';
import type { Snapshot } from '../events/disk-operations.ts';
import type {
  CreateSnapshotResponse,
  GetSnapshotResponse,
  ListSnapshotsResponse,
  RemoveSnapshotResponse,
  RestoreSnapshotResponse,
} from '../gen/boxledger/v1/disk_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox, forBox, metaOf, submit } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { carriedOut, operationOf } from './disk-operation.ts';
import type {
  createSnapshotSchema,
  getSnapshotSchema,
  listSnapshotsSchema,
  snapshotChangeSchema,
} from './disk-requests.ts';
import { encodeRecord } from './encode.ts';
import { encodeSnapshot } from './encode-disk.ts';
import { madeUpSuffix } from './made-up.ts';
import { endingOf } from './outcome.ts';

/** Disks kept as they are, looked at, given up and put back. */

export const create = (deps: ApiDeps) =>
  async function* (
    { mutation, box, consistency, ...given }: z.infer<typeof createSnapshotSchema>,
    scope: CallScope,
  ): AsyncGenerator<CreateSnapshotResponse> {
    const { boxId, tenant } = await findBox(deps, scope.caller.tenant, box);
    const snapshotId = deps.ids.snapshotId();
    const name = given.name ?? `snapshot-${madeUpSuffix(snapshotId, mutation)}`;
    const command = { type: 'box.snapshot', boxId, snapshotId, name, consistency } as const;
    const { answer } = yield* carriedOut(deps, 'snapshot', command, mutation, scope);
    const made = await boxById(deps, tenant, boxId);
    const snapshot = snapshotOf(made.view, operationOf(answer, 'snapshot').snapshotId);
    const value = { box: encodeRecord(made), snapshot: encodeSnapshot(snapshot) };
    yield { message: { $case: 'created', value } };
  };

export const list =
  (deps: ApiDeps) =>
  async (
    { box }: z.infer<typeof listSnapshotsSchema>,
    { caller }: CallScope,
  ): Promise<ListSnapshotsResponse> => {
    const { view } = await findBox(deps, caller.tenant, box);
    return { snapshots: view.snapshots.map(encodeSnapshot), standsOn: view.standsOn ?? '' };
  };

export const get =
  (deps: ApiDeps) =>
  async (
    { box, snapshot }: z.infer<typeof getSnapshotSchema>,
    { caller }: CallScope,
  ): Promise<GetSnapshotResponse> => {
    const { view } = await findBox(deps, caller.tenant, box);
    return { snapshot: encodeSnapshot(snapshotOf(view, snapshot)) };
  };

export const remove =
  (deps: ApiDeps) =>
  async (
    { box, snapshot, mutation }: z.infer<typeof snapshotChangeSchema>,
    scope: CallScope,
  ): Promise<RemoveSnapshotResponse> => {
    const { boxId, tenant } = await findBox(deps, scope.caller.tenant, box);
    const command = { type: 'box.removeSnapshot', boxId, snapshot } as const;
    const answer = forBox(await submit(deps, command, metaOf(scope.caller, mutation)));
    await endingOf(deps, 'snapshotRemoval', answer, scope);
    return { box: encodeRecord(await boxById(deps, tenant, boxId)) };
  };

export const restore = (deps: ApiDeps) =>
  async function* (
    { box, snapshot, mutation }: z.infer<typeof snapshotChangeSchema>,
    scope: CallScope,
  ): AsyncGenerator<RestoreSnapshotResponse> {
    const { boxId, tenant } = await findBox(deps, scope.caller.tenant, box);
    const command = { type: 'box.restore', boxId, snapshot } as const;
    yield* carriedOut(deps, 'restore', command, mutation, scope);
    const value = { box: encodeRecord(await boxById(deps, tenant, boxId)) };
    yield { message: { $case: 'restored', value } };
  };

const snapshotOf = ({ boxId, name, snapshots }: BoxView, idOrName: string): Snapshot => {
  const found =
    snapshots.find(({ snapshotId }) => snapshotId === idOrName) ??
    snapshots.find((snapshot) => snapshot.name === idOrName);
  if (found !== undefined) return found;
  throw new BoxledgerError('NotFound', `Box ${name} has no snapshot ${JSON.stringify(idOrName)}.`, {
    help: snapshots.length === 0 ? 'It has none.' : `It has ${snapshots.map((it) => it.name).join(', ')}.`,
    details: { boxId, name, snapshot: idOrName },
  });
};
