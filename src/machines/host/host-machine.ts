import { assign, setup } from 'xstate';
import type { HostEvent } from '../../events/host-events.ts';
import { defaultTenant, type TenantId } from '../../kernel/ids.ts';
import type { JsonValue } from '../../kernel/json.ts';
import { type ChartEvent, definitionOf, type Take } from '../chart.ts';
import { type StateOf, stepTable } from '../step-table.ts';

interface HostContext {
  readonly tenant: TenantId;
  /** Number of joins so far. The store looks it up in the persisted snapshot: nothing is claimed by an earlier one. */
  readonly epoch: number;
}

const chart = setup({
  types: {
    context: {} as HostContext, // XState's way of naming a type; the value is not used
    events: {} as ChartEvent<HostEvent>,
  },
  actions: {
    record: assign(({ event }) => ({ tenant: event.tenant, epoch: event.data.epoch })),
  },
  guards: {
    isNextEpoch: ({ context, event }) =>
      event.type === 'host.joined' && event.data.epoch === context.epoch + 1,
    isPresentEpoch: ({ context, event }) => event.type === 'host.left' && event.data.epoch === context.epoch,
  },
});

const joins = { 'host.joined': { target: 'ready', guard: 'isNextEpoch', actions: 'record' } } as const;

/** A host. It may join while it is ready: its last epoch then died without a word. */
const hostMachine = chart.createMachine({
  id: 'host',
  context: { tenant: defaultTenant, epoch: 0 },
  initial: 'absent',
  states: {
    absent: { on: joins },
    ready: { on: { ...joins, 'host.left': { target: 'left', guard: 'isPresentEpoch', actions: 'record' } } },
    left: { on: joins },
  },
});

export type HostState = StateOf<typeof hostMachine>;

/** Counts the changes in what the chart's functions keep in the context. */
const contextRevision = 1;
export const hostDefinition = definitionOf(hostMachine, contextRevision);

const steps = stepTable(hostMachine);

export const takeHostEvent: Take<HostState, HostEvent> = (state = steps.initial, event) => {
  const step = steps.take(state, event);
  return step && { state: step.state, effects: [] };
};

interface PersistedHost {
  readonly value: HostState['value'];
  readonly context: HostContext;
}

export const persistHost = ({ value, context }: HostState): JsonValue => ({ value, context: { ...context } });

/** The store gives back only what `persistHost` of this very definition made, so it is taken at its word. */
export const restoreHost = (snapshot: JsonValue): HostState => {
  const { value, context } = snapshot as unknown as PersistedHost; // see above
  return steps.stateOf(value, context);
};
