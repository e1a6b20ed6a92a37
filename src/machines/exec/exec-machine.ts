import { assign, setup } from 'xstate';
import type { ExecEvent } from '../../events/exec-events.ts';
import { type BoxId, defaultTenant, type TenantId } from '../../kernel/ids.ts';
import type { JsonValue } from '../../kernel/json.ts';
import type { Timestamp } from '../../kernel/time.ts';
import { type ChartEvent, definitionOf, type Take } from '../chart.ts';
import { type StateOf, stepTable } from '../step-table.ts';

interface ExecContext {
  readonly tenant: TenantId;
  /** Unset before the request. */
  readonly boxId: BoxId | null;
  readonly requestedAt: Timestamp | null;
  readonly pid: number | null;
  readonly endedAt: Timestamp | null;
}

const chart = setup({
  types: {
    context: {} as ExecContext, // XState's way of naming a type; the value is not used
    events: {} as ChartEvent<ExecEvent>,
    tags: {} as 'over',
  },
  actions: {
    record: assign(({ event }): Partial<ExecContext> => {
      if (event.type === 'exec.requested')
        return { tenant: event.tenant, boxId: event.data.boxId, requestedAt: event.occurredAt };
      return event.type === 'exec.started' ? { pid: event.data.pid } : { endedAt: event.occurredAt };
    }),
  },
});

const to = <const Target extends string>(target: Target) => ({ target, actions: 'record' }) as const;

/** One run of a program in a box. The box's statechart decides whether there may be one; this, what becomes of it. */
const execMachine = chart.createMachine({
  id: 'exec',
  context: { tenant: defaultTenant, boxId: null, requestedAt: null, pid: null, endedAt: null },
  initial: 'absent',
  states: {
    absent: { on: { 'exec.requested': to('requested') } },
    requested: {
      on: { 'exec.started': to('running'), 'exec.failed': to('failed'), 'exec.lost': to('lost') },
    },
    running: { on: { 'exec.exited': to('exited'), 'exec.lost': to('lost') } },
    exited: { tags: ['over'] },
    failed: { tags: ['over'] },
    lost: { tags: ['over'] },
  },
});

export type ExecState = StateOf<typeof execMachine>;

/** Counts the changes in what the chart's functions keep in the context. */
const contextRevision = 3;
export const execDefinition = definitionOf(execMachine, contextRevision);

const steps = stepTable(execMachine);

export const takeExecEvent: Take<ExecState, ExecEvent> = (state = steps.initial, event) => {
  const step = steps.take(state, event);
  return step && { state: step.state, effects: [] };
};

interface PersistedExec {
  readonly value: ExecState['value'];
  readonly context: ExecContext;
}

export const persistExec = ({ value, context }: ExecState): JsonValue => ({ value, context: { ...context } });

/** The store gives back only what `persistExec` of this very definition made, so it is taken at its word. */
export const restoreExec = (snapshot: JsonValue): ExecState => {
  const { value, context } = snapshot as unknown as PersistedExec; // see above
  return steps.stateOf(value, context);
};
