import { assign, setup } from 'xstate';
import type { CopyEvent } from '../../events/copy-events.ts';
import { type BoxId, defaultTenant, type TenantId } from '../../kernel/ids.ts';
import type { JsonValue } from '../../kernel/json.ts';
import type { Timestamp } from '../../kernel/time.ts';
import { type ChartEvent, definitionOf, type Take } from '../chart.ts';
import { type StateOf, stepTable } from '../step-table.ts';

interface CopyContext {
  readonly tenant: TenantId;
  /** Unset before the copy is known of. */
  readonly boxId: BoxId | null;
  readonly endedAt: Timestamp | null;
}

const chart = setup({
  types: {
    context: {} as CopyContext, // XState's way of naming a type; the value is not used
    events: {} as ChartEvent<CopyEvent>,
  },
  actions: {
    record: assign(
      ({ event }): CopyContext => ({
        tenant: event.tenant,
        boxId: event.data.boxId,
        endedAt: event.occurredAt,
      }),
    ),
  },
});

const to = <const Target extends string>(target: Target) => ({ target, actions: 'record' }) as const;

/** One copy into a box or out of it, which is known of only once it is over: while it lasts nothing depends on it. */
const copyMachine = chart.createMachine({
  id: 'copy',
  context: { tenant: defaultTenant, boxId: null, endedAt: null },
  initial: 'absent',
  states: {
    absent: { on: { 'copy.completed': to('completed'), 'copy.failed': to('failed') } },
    completed: {},
    failed: {},
  },
});

export type CopyState = StateOf<typeof copyMachine>;

/** Counts the changes in what the chart's functions keep in the context. */
const contextRevision = 2;
export const copyDefinition = definitionOf(copyMachine, contextRevision);

const steps = stepTable(copyMachine);

export const takeCopyEvent: Take<CopyState, CopyEvent> = (state = steps.initial, event) => {
  const step = steps.take(state, event);
  return step && { state: step.state, effects: [] };
};

interface PersistedCopy {
  readonly value: CopyState['value'];
  readonly context: CopyContext;
}

export const persistCopy = ({ value, context }: CopyState): JsonValue => ({ value, context: { ...context } });

/** The store gives back only what `persistCopy` of this very definition made, so it is taken at its word. */
export const restoreCopy = (snapshot: JsonValue): CopyState => {
  const { value, context } = snapshot as unknown as PersistedCopy; // see above
  return steps.stateOf(value, context);
};
