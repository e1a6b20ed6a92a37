import { assign, initialTransition, type SnapshotFrom, setup, transition } from 'xstate';
import type { HostEvent } from '../../events/host-events.ts';
import { defaultTenant, type TenantId } from '../../kernel/ids.ts';
import type { JsonValue } from '../../kernel/json.ts';
import { type ChartEvent, definitionOf, type Take } from '../chart.ts';

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

export type HostState = SnapshotFrom<typeof hostMachine>;

/** Counts the changes in what the chart's functions keep in the context. */
const contextRevision = 1;
export const hostDefinition = definitionOf(hostMachine, contextRevision);

const [absent] = initialTransition(hostMachine);

export const takeHostEvent: Take<HostState, HostEvent> = (state = absent, event) =>
  state.can(event) ? { state: transition(hostMachine, state, event)[0], effects: [] } : undefined;

interface PersistedHost {
  readonly value: HostState['value'];
  readonly context: HostContext;
}

export const persistHost = ({ value, context }: HostState): JsonValue => ({ value, context: { ...context } });

/** The store gives back only what `persistHost` of this very definition made, so it is taken at its word. */
export const restoreHost = (snapshot: JsonValue): HostState => {
  const { value, context } = snapshot as unknown as PersistedHost; // see above
  return hostMachine.resolveState({ value, context });
};
