import type { BracketPlan, ConsistencyWish, DiskOperation } from '../../events/disk-operations.ts';
import { assert } from '../../kernel/assert.ts';
import type { BoxContext } from './box-context.ts';
import { type Asked, type IntentOf, intentBase, processOf } from './box-intents.ts';

export const snapshotIntent = (asked: Asked): IntentOf<'disk.snapshot'> => {
  const { snapshotId } = operationOf(asked.context, 'snapshot');
  return { ...intentBase(asked), kind: 'disk.snapshot', args: { snapshotId, plan: planOf(asked) } };
};

export const snapshotRemovalIntent = (asked: Asked): IntentOf<'snapshot.remove'> => {
  const { snapshotId } = operationOf(asked.context, 'snapshotRemoval');
  return { ...intentBase(asked), kind: 'snapshot.remove', args: { snapshotId } };
};

export const restoreIntent = (asked: Asked): IntentOf<'disk.restore'> => {
  const { snapshotId } = operationOf(asked.context, 'restore');
  return { ...intentBase(asked), kind: 'disk.restore', args: { snapshotId } };
};

export const cloneIntent = (asked: Asked): IntentOf<'disk.clone'> => {
  const { clones } = operationOf(asked.context, 'clone');
  return { ...intentBase(asked), kind: 'disk.clone', args: { clones, plan: planOf(asked) } };
};

export const exportIntent = (asked: Asked): IntentOf<'disk.export'> => {
  const { context } = asked;
  const { exportId, includeEnv } = operationOf(context, 'export');
  const { name } = context;
  const options = includeEnv ? context.options : { ...context.options, env: {} };
  return {
    ...intentBase(asked),
    kind: 'disk.export',
    args: { exportId, name, options, plan: planOf(asked) },
  };
};

type Operation<Kind extends DiskOperation['kind']> = Extract<DiskOperation, { kind: Kind }>;

export const operationOf = <Kind extends DiskOperation['kind']>(
  { boxId, operation }: BoxContext,
  kind: Kind,
): Operation<Kind> => {
  assert(operation?.kind === kind, `${boxId}: a ${kind} is begun that nobody asked for`);
  return operation as Operation<Kind>; // a kind that is a type parameter narrows nothing
};

/** A box that runs is quiesced; of one that does not write it is known what its disk is worth. */
const planOf = ({ context, event }: Asked): BracketPlan => {
  const { process, pause } = context;
  if (process === null) return { kind: 'held', consistency: 'file-system' };
  if (pause !== null) return { kind: 'held', consistency: pause.consistency };
  return { kind: 'quiesce', process: processOf(context), consistency: wishOf(event) };
};

const wishOf = (event: Asked['event']): ConsistencyWish => {
  switch (event.type) {
    case 'box.snapshotRequested':
    case 'box.cloneRequested':
    case 'box.exportRequested':
      return event.data.consistency;
    default:
      return 'best-effort';
  }
};
