import { assign, setup } from 'xstate';
import type { ExecEvent } from '../../events/exec-events.ts';
import { defaultTenant, type TenantId } from '../../kernel/ids.ts';
import type { JsonValue } from '../../kernel/json.ts';
import { type ChartEvent, definitionOf, type Take } from '../chart.ts';
import { type StateOf, stepTable } from '../step-table.ts';

interface ExecContext {
  readonly tenant: TenantId;
  readonly pid: number | null;
}

const chart = setup({
  types: {
    context: {} as ExecContext, // XState's way of naming a type; the value is not used
    events: {} as ChartEvent<ExecEvent>,
    tags: {} as 'over',
  },
  actions: {
    record: assign(({ event }): Partial<ExecContext> => {
      if (event.type === 'exec.requested') return { tenant: event.tenant };
      return event.type === 'exec.started' ? { pid: event.data.pid } : {};
    }),
  },
});

const to = <const Target extends string>(target: Target) => ({ target, actions: 'record' }) as const;

/** One run of a program in a box. The box's statechart decides whether there may be one; this, what becomes of it. */
const execMachine = chart.createMachine({
  id: 'exec',
  context: { tenant: defaultTenant, pid: null },
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
const contextRevision = 1;
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
