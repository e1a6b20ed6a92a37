import type { BoxStateName } from '../../events/box-view.ts';
import type { DiskOperation } from '../../events/disk-operations.ts';
import type { Refusal } from '../../kernel/errors.ts';
import type { BoxId, EffectId } from '../../kernel/ids.ts';
import { type BoxState, topState } from './box-state.ts';

/** What a box can be refused because of the state that it is in, as the message says it. */
const cannotBe = {
  start: 'be started',
  pause: 'be paused',
  resume: 'be resumed',
  remove: 'be removed',
  exec: 'run programs or copy files',
  rename: 'be renamed',
  snapshot: 'be snapshotted',
  'remove snapshots of': 'have a snapshot removed',
  restore: 'be restored',
  clone: 'be cloned',
  export: 'be exported',
} as const;
type Verb = keyof typeof cannotBe;

export const noSuchBox = (boxId: BoxId): Refusal => ({
  code: 'NotFound',
  message: `there is no box ${boxId}`,
  help: 'List the boxes to see which there are; a removed box can only be read, through its events.',
  details: { boxId },
});

export const boxExists = (boxId: BoxId): Refusal => ({
  code: 'AlreadyExists',
  message: `there is a box ${boxId} already`,
  help: 'Create the box with another id.',
  details: { boxId },
});

/** The statechart cannot take what the command would lead to. */
export const cannot = (verb: Verb, state: BoxState, help?: string): Refusal => {
  const { boxId, name, operation } = state.context;
  return {
    code: 'InvalidState',
    message: `box ${name} is ${topState(state)} and cannot ${cannotBe[verb]}`,
    help: help ?? (operation === null ? helpIn(topState(state), verb) : helpWhile(operation)),
    details: { boxId, state: topState(state), operation: operation?.kind ?? null },
  };
};

const helpWhile = ({ kind }: DiskOperation): string =>
  `Wait until the ${kind === 'snapshotRemoval' ? 'removal of a snapshot' : kind} that is under way is done.`;

/** What came is about an effect or a run that the box is not waiting for any more. */
export const stale = (state: BoxState, told: { effectId?: EffectId; generation: number }): Refusal => {
  const { boxId, name, generation, effect } = state.context;
  return {
    code: 'Conflict',
    message: `box ${name} is ${topState(state)} in generation ${generation} and does not wait for this outcome`,
    help: 'Nothing needs to be done: what is told here has been overtaken.',
    details: {
      stale: true,
      boxId,
      state: topState(state),
      generation,
      awaited: effect?.effectId ?? null,
      told: { effectId: told.effectId ?? null, generation: told.generation },
    },
  };
};

const helpIn = (state: BoxStateName, verb: Verb): string => {
  if (verb === 'restore' && (state === 'running' || state === 'paused')) return 'Stop it first.';
  switch (state) {
    case 'configured':
    case 'stopped':
      return 'Start it first.';
    case 'failed':
      return 'Start it again; its failure says why the last start did not succeed.';
    case 'lost':
      return 'Wait until its host is back, or remove it with force; its disk is then given up.';
    case 'removing':
    case 'removed':
      return 'Create another box.';
    case 'starting':
    case 'resuming':
      return verb === 'remove' ? stopOrForce : 'Wait until it is running.';
    case 'pausing':
      return verb === 'remove' ? stopOrForce : 'Wait until it is paused, then resume it.';
    case 'paused':
      return verb === 'remove' ? stopOrForce : 'Resume it first.';
    case 'stopping':
      return verb === 'remove'
        ? 'Wait until it is stopped, or remove it with force.'
        : 'Wait until it is stopped, then start it.';
    case 'running':
      return stopOrForce;
    default:
      return state satisfies never;
  }
};

const stopOrForce = 'Stop it first, or remove it with force, which stops it too.';
