import type { BoxEvent } from '../../events/box-events.ts';
import { type BoxStateName, type BoxView, boxStates } from '../../events/box-view.ts';
import type { EffectIntent } from '../../events/effects.ts';
import { assert } from '../../kernel/assert.ts';
import type { JsonValue } from '../../kernel/json.ts';
import { plusMs } from '../../kernel/time.ts';
import { definitionOf, type Take } from '../chart.ts';
import { type NamedAction, type StateOf, stepTable } from '../step-table.ts';
import type { BoxContext } from './box-context.ts';
import { boxMachine } from './box-machine.ts';

/** A box as its statechart knows it. Never changed in place. */
export type BoxState = StateOf<typeof boxMachine>;

/** Counts the changes in what `remember` and `inFlight` keep. */
const contextRevision = 4;
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
  const top = typeof value === 'string' ? value : Object.keys(value)[0];
  assert(isBoxState(top), 'a box without events is in no state');
  return top;
};

const isBoxState = (name: string | undefined): name is BoxStateName =>
  boxStates.some((state) => state === name);

export const viewOfBox = (state: BoxState): BoxView => {
  const { context: box } = state;
  return {
    boxId: box.boxId,
    tenant: box.tenant,
    name: box.name,
    state: topState(state),
    health: topState(state) === 'running' ? box.health : 'none',
    operation: box.operation,
    bracket: bracketOf(state),
    options: box.options,
    generation: box.generation,
    placement: box.placement,
    process: box.process,
    effect: box.effect,
    hasDisk: box.hasDisk,
    origin: box.origin,
    snapshots: [...box.snapshots],
    standsOn: box.standsOn,
    pause: pauseOf(box),
    restarts: box.restarts,
    exit: box.exit,
    failure: box.failure,
    createdAt: box.createdAt,
    startedAt: box.startedAt,
    resumedAt: box.resumedAt,
    stoppedAt: box.stoppedAt,
  };
};

const bracketOf = (state: BoxState): BoxView['bracket'] => {
  const kind = topState(state) === 'running' ? state.context.operation?.kind : undefined;
  return kind === 'snapshot' || kind === 'clone' || kind === 'export' ? kind : null;
};

const pauseOf = ({ pause }: BoxContext): BoxView['pause'] => {
  if (pause === null || pause.since === null) return null;
  const { since, maxDurationMs, consistency, toDisk } = pause;
  return { since, until: maxDurationMs === null ? null : plusMs(since, maxDurationMs), consistency, toDisk };
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
