import type { BoxRecord } from '../commands/event-store.ts';
import type { CloneResponse } from '../gen/boxledger/v1/disk_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxStream, type TenantId, version } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { carriedOut, operationOf } from './disk-operation.ts';
import type { CloneParsed } from './disk-requests.ts';
import { encodeRecord } from './encode.ts';
import type { Mutation } from './requests.ts';

/**
 * Makes boxes of a box. A name that is taken is refused before anything is copied; it is the append that decides, and one that
 * was taken in between makes the whole operation fail.
 */
export const clone = (deps: ApiDeps) =>
  async function* (request: CloneParsed, scope: CallScope): AsyncGenerator<CloneResponse> {
    const { mutation, consistency } = request;
    const { tenant } = scope.caller;
    const box = await findBox(deps, tenant, request.box);
    const { boxId } = box;
    const names = (await namesAnswered(deps, box, request)) ?? (await freeNames(deps, box, request));
    const clones = names.map((name) => ({ boxId: deps.ids.boxId(), name }));
    const command = { type: 'box.clone', boxId, clones, consistency } as const;
    const { answer } = yield* carriedOut(deps, 'clone', command, mutation, scope);
    const made = operationOf(answer, 'clone').clones.map((one) => boxById(deps, tenant, one.boxId));
    const value = {
      box: encodeRecord(await boxById(deps, tenant, boxId)),
      clones: (await Promise.all(made)).map(encodeRecord),
    };
    yield { message: { $case: 'cloned', value } };
  };

/** What clones are asked for. */
interface Asked {
  readonly names: readonly string[];
  /** Of names to be made up; 0: 1. */
  readonly count: number;
}

/** Those that the same command was answered with before: what it made is no reason to refuse it now. */
const namesAnswered = async (
  deps: ApiDeps,
  { boxId, tenant }: BoxRecord,
  { mutation: { commandId }, names }: Asked & { readonly mutation: Mutation },
): Promise<readonly string[] | undefined> => {
  if (commandId === undefined) return undefined;
  const answer = await deps.history.answerTo(tenant, commandId);
  if (answer?.streamId !== boxStream(boxId)) return undefined;
  const [event] = await deps.log.readStream(answer.streamId, version(answer.version - 1n), 1);
  if (event?.type !== 'box.cloneRequested') return undefined;
  return names.length > 0 ? names : event.data.clones.map(({ name }) => name);
};

/** Throws `AlreadyExists` for a given name that is taken. */
export const freeNames = async (
  deps: ApiDeps,
  { name, tenant }: BoxRecord,
  { names, count }: Asked,
): Promise<readonly string[]> => {
  if (names.length === 0) return madeUpNames(deps, tenant, name, Math.max(1, count));
  for (const asked of names)
    if (await isTaken(deps, tenant, asked))
      throw new BoxledgerError('AlreadyExists', `There is a box named ${asked} already.`, {
        help: 'Choose another name; nothing was cloned.',
        details: { name: asked },
      });
  return names;
};

/** NAME-1, NAME-2, …, without those that are taken. */
const madeUpNames = async (deps: ApiDeps, tenant: TenantId, name: string, count: number) => {
  const made: string[] = [];
  for (let number = 1; made.length < count; number += 1) {
    const suffix = `-${number}`;
    const next = `${name.slice(0, limits.boxNameMaxBytes - suffix.length)}${suffix}`;
    if (!(await isTaken(deps, tenant, next))) made.push(next);
  }
  return made;
};

const isTaken = async (deps: ApiDeps, tenant: TenantId, name: string): Promise<boolean> => {
  const found = await deps.boxes.find(tenant, name);
  return found.kind === 'found' && found.box.name === name && found.box.state !== 'removed';
};
