import type { BoxAt, Moment } from '../commands/moments.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId, TenantId } from '../kernel/ids.ts';
import { boxIdPattern } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox } from './box-access.ts';

/** Which box is meant, and what it was at a moment. Throws `NotFound` where there was none. */
export const boxAtMoment = async (
  deps: ApiDeps,
  tenant: TenantId,
  reference: string,
  moment: Moment,
  signal: AbortSignal,
): Promise<BoxAt> => {
  const boxId = await boxMeant(deps, tenant, reference, moment);
  const then = await deps.moments.boxAt(boxId, moment, signal);
  if (then === undefined) throw await notThen(deps, tenant, boxId, moment);
  return then;
};

/** By a name is meant the box that had it then: the one that has it now may be another. */
const boxMeant = async (
  deps: ApiDeps,
  tenant: TenantId,
  reference: string,
  moment: Moment,
): Promise<BoxId> => {
  if (moment.kind === 'version' || boxIdPattern.test(reference))
    return (await findBox(deps, tenant, reference)).boxId;
  const now = await deps.boxes.find(tenant, reference);
  if (now.kind === 'found' && now.box.createdAt <= moment.at) return now.box.boxId;
  for (let token: string | undefined = ''; token !== undefined; ) {
    const page = await deps.moments.fleetAt(tenant, moment.at, { name: reference }, { size: 1, token });
    const [then] = page.boxes;
    if (then !== undefined) return then.view.boxId;
    token = page.nextPageToken || undefined;
  }
  return (await findBox(deps, tenant, reference)).boxId;
};

const notThen = async (deps: ApiDeps, tenant: TenantId, boxId: BoxId, moment: Moment) => {
  const { name, createdAt, version } = await boxById(deps, tenant, boxId);
  return moment.kind === 'time'
    ? new BoxledgerError('NotFound', `Box ${name} did not exist at ${moment.at}.`, {
        help: `It was created at ${createdAt}.`,
        details: { boxId, name, createdAt },
      })
    : new BoxledgerError('NotFound', `Box ${name} has no version ${moment.version} yet.`, {
        help: `Its last is ${version}.`,
        details: { boxId, name, version: Number(version) },
      });
};
