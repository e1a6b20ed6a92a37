import type { Snapshot } from '../../events/disk-operations.ts';
import { type Fault, invalidArgument, type Refusal } from '../../kernel/errors.ts';
import { limits } from '../../kernel/limits.ts';
import { refused } from '../decision.ts';
import { type BoxCase, type BoxDecision, type CommandOf, take } from './box-case.ts';
import type { BoxContext } from './box-context.ts';
import { cannot } from './box-refusals.ts';
import { diskOperationTimeoutMs as timeoutMs } from './box-timeouts.ts';

export const snapshot = (
  it: BoxCase,
  { snapshotId, name, consistency }: CommandOf<'box.snapshot'>,
): BoxDecision => {
  const { context } = it.box;
  const taken = context.snapshots.some((other) => other.name === name || other.snapshotId === snapshotId);
  if (taken) return refused(snapshotExists(context, name));
  if (context.snapshots.length >= limits.snapshotsMax) return refused(tooManySnapshots(context));
  const data = { snapshotId, name, consistency, timeoutMs };
  return take(it, { type: 'box.snapshotRequested', data }) ?? refused(cannot('snapshot', it.box));
};

export const removeSnapshot = (it: BoxCase, command: CommandOf<'box.removeSnapshot'>): BoxDecision => {
  const found = snapshotOf(it.box.context, command.snapshot);
  if (found === undefined) return refused(noSuchSnapshot(it.box.context, command.snapshot));
  const standing = dependentsOf(it.box.context, found);
  if (standing.length > 0) return refused(stoodOn(it.box.context, found, standing));
  const data = { snapshotId: found.snapshotId, timeoutMs };
  return (
    take(it, { type: 'box.snapshotRemovalRequested', data }) ?? refused(cannot('remove snapshots of', it.box))
  );
};

export const restore = (it: BoxCase, command: CommandOf<'box.restore'>): BoxDecision => {
  const found = snapshotOf(it.box.context, command.snapshot);
  if (found === undefined) return refused(noSuchSnapshot(it.box.context, command.snapshot));
  const data = { snapshotId: found.snapshotId, timeoutMs };
  return take(it, { type: 'box.restoreRequested', data }) ?? refused(cannot('restore', it.box));
};

export const clone = (it: BoxCase, { clones, consistency }: CommandOf<'box.clone'>): BoxDecision => {
  const faults = repeated(clones.map(({ name }) => name)).concat(repeated(clones.map(({ boxId }) => boxId)));
  if (faults.length > 0) return refused(invalidArgument(faults));
  const data = { clones: [...clones], consistency, timeoutMs };
  return take(it, { type: 'box.cloneRequested', data }) ?? refused(cannot('clone', it.box));
};

export const exportBox = (
  it: BoxCase,
  { exportId, includeEnv, consistency }: CommandOf<'box.export'>,
): BoxDecision => {
  const data = { exportId, includeEnv, consistency, timeoutMs };
  return take(it, { type: 'box.exportRequested', data }) ?? refused(cannot('export', it.box));
};

const snapshotOf = ({ snapshots }: BoxContext, idOrName: string): Snapshot | undefined =>
  snapshots.find(({ snapshotId }) => snapshotId === idOrName) ??
  snapshots.find(({ name }) => name === idOrName);

/** What would lose its bytes with the snapshot; whole copies and shared blocks lose nothing. */
const dependentsOf = (
  { snapshots, standsOn }: BoxContext,
  { snapshotId, copy }: Snapshot,
): readonly string[] => {
  if (copy !== 'chain') return [];
  const names = snapshots.filter(({ parent }) => parent === snapshotId).map(({ name }) => name);
  return standsOn === snapshotId ? [...names, 'the disk'] : names;
};

const repeated = (texts: readonly string[]): readonly Fault[] =>
  texts.flatMap((text, index) =>
    texts.indexOf(text) === index ? [] : [{ field: `clones[${index}]`, problem: `${text} is named twice` }],
  );

const noSuchSnapshot = ({ boxId, name, snapshots }: BoxContext, asked: string): Refusal => ({
  code: 'NotFound',
  message: `box ${name} has no snapshot ${JSON.stringify(asked)}`,
  help: snapshots.length === 0 ? 'It has none yet.' : `It has ${snapshots.map((it) => it.name).join(', ')}.`,
  details: { boxId, snapshot: asked },
});

const snapshotExists = ({ boxId, name }: BoxContext, snapshot: string): Refusal => ({
  code: 'AlreadyExists',
  message: `box ${name} has a snapshot ${JSON.stringify(snapshot)} already`,
  help: 'Choose another name, or remove that snapshot first.',
  details: { boxId, snapshot },
});

const tooManySnapshots = ({ boxId, name }: BoxContext): Refusal => ({
  code: 'ResourceExhausted',
  message: `box ${name} has ${limits.snapshotsMax} snapshots, which is the most`,
  help: 'Remove one first.',
  details: { boxId, snapshotsMax: limits.snapshotsMax },
});

const stoodOn = (
  { boxId, name }: BoxContext,
  { name: snapshot }: Snapshot,
  by: readonly string[],
): Refusal => ({
  code: 'InvalidState',
  message: `snapshot ${JSON.stringify(snapshot)} of box ${name} cannot be removed: ${by.join(', ')} stand on it`,
  help: 'Remove what stands on it first.',
  details: { boxId, snapshot, standing: [...by] },
});
