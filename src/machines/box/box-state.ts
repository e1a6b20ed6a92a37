import type { BoxEvent } from '../../events/box-events.ts';
import type { BoxStateName, BoxView } from '../../events/box-view.ts';
import type { EffectIntent } from '../../events/effects.ts';
import { assert } from '../../kernel/assert.ts';
import type { JsonValue } from '../../kernel/json.ts';
import { definitionOf, type Take } from '../chart.ts';
import { type NamedAction, type StateOf, stepTable } from '../step-table.ts';
import type { BoxContext } from './box-context.ts';
import { boxMachine } from './box-machine.ts';

/** A box as its statechart knows it. Never changed in place. */
export type BoxState = StateOf<typeof boxMachine>;

/** Counts the changes in what `remember` and `inFlight` keep. */
const contextRevision = 1;
export const boxDefinition = definitionOf(boxMachine, contextRevision);

const steps = stepTable(boxMachine);

/** One step of a box. */
export const takeBoxEvent: Take<BoxState, BoxEvent> = (state = steps.initial, event) => {
  const step = steps.take(state, event);
  return step && { state: step.state, effects: step.actions.map(intentOf) };
};

const intentOf = ({ type, params }: NamedAction): EffectIntent => {
  assert(isIntent(params), `${type} is an action but no effect`);
  return params;
};

/** The chart's set-up gives each effect its intent; XState's type of a returned action has forgotten that. */
const isIntent = (params: unknown): params is EffectIntent =>
  typeof params === 'object' && params !== null && 'effectId' in params;

export const topState = ({ value }: BoxState): BoxStateName => {
  const top = typeof value === 'string' ? value : 'running' in value ? 'running' : 'removing';
  assert(top !== 'absent', 'a box without events is in no state');
  return top;
};

export const viewOfBox = (state: BoxState): BoxView => {
  const { context: box, value } = state;
  const running = typeof value === 'object' && 'running' in value ? value.running : undefined;
  return {
    boxId: box.boxId,
    tenant: box.tenant,
    name: box.name,
    state: topState(state),
    health: running?.health ?? 'none',
    bracket: running === undefined || running.bracket === 'none' ? null : running.bracket,
    options: box.options,
    generation: box.generation,
    placement: box.placement,
    process: box.process,
    effect: box.effect,
    hasDisk: box.hasDisk,
    exit: box.exit,
    failure: box.failure,
    createdAt: box.createdAt,
    startedAt: box.startedAt,
    stoppedAt: box.stoppedAt,
  };
};

interface PersistedBox {
  readonly value: BoxState['value'];
  readonly context: BoxContext;
}

export const persistBox = ({ value, context }: BoxState): JsonValue => {
  const persisted: PersistedBox = { value, context };
  return persisted as unknown as JsonValue; // JSON, but for optional fields that TypeScript thinks may hold `undefined`
};

/** The store gives back only what `persistBox` of this very definition made, so it is taken at its word. */
export const restoreBox = (snapshot: JsonValue): BoxState => {
  const { value, context } = snapshot as unknown as PersistedBox; // see above
  return steps.stateOf(value, context);
};
