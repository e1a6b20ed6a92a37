import type { BoxCommand } from '../events/commands.ts';
import type { DiskOperation } from '../events/disk-operations.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import type { ApiDeps } from './api-deps.ts';
import { type AcceptedForBox, forBox, metaOf, submit } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { type DiskChange, endingOf } from './outcome.ts';
import { type ProgressMessage, progressUntil } from './progress.ts';
import type { Mutation } from './requests.ts';

type DiskCommand = Extract<
  BoxCommand,
  { type: 'box.snapshot' | 'box.removeSnapshot' | 'box.restore' | 'box.clone' | 'box.export' }
>;

interface Done {
  readonly answer: AcceptedForBox;
  /** The event that says that it has come about. */
  readonly ending: RecordedEvent;
}

/** Asks for something to be done to a disk, says how far it is, and returns once it has come about. Throws as `outcomeOf` does. */
export async function* carriedOut(
  deps: ApiDeps,
  change: DiskChange,
  command: DiskCommand,
  mutation: Mutation,
  { caller, signal }: CallScope,
): AsyncGenerator<ProgressMessage, Done, undefined> {
  const answer = forBox(await submit(deps, command, metaOf(caller, mutation)));
  const { effect } = answer.view;
  assert(effect !== null, `${command.type} was accepted without an effect`);
  // The operation has a deadline of its own, so a caller that set none is kept for as long as it takes.
  const ending = yield* progressUntil(deps.progress, effect.effectId, () =>
    endingOf(deps, change, answer, { waitSignal: signal }),
  );
  return { answer, ending };
}

/** What the accepted command asked for: of a command that was repeated, the ids of the first time. */
export const operationOf = <Kind extends DiskOperation['kind']>(
  { view: { boxId, operation } }: AcceptedForBox,
  kind: Kind,
): Extract<DiskOperation, { kind: Kind }> => {
  assert(operation?.kind === kind, `${boxId}: a ${kind} was accepted that did not begin`);
  return operation as Extract<DiskOperation, { kind: Kind }>; // a kind that is a type parameter narrows nothing
};
