/**
 * A statechart as a table of its steps: what XState makes of an event in a state is found out once for each state and type
 * of event, and looked up from then on, which costs a tenth of a `transition`. The definition stays XState's and is the only
 * source: the table is made by asking XState itself.
 *
 * 1. Asked is a rehearsal: a machine of the same definition whose actions do nothing but be named, and whose guards answer as
 *    they are told. Each is told to say yes and no, so a table entry is a tree of guards with XState's outcome at each leaf:
 *    the state that follows, and the actions in the order in which XState takes them.
 * 2. What then happens to the context is done here as XState does it: actions in order, `params` from the context so far.
 * 3. A chart that could not be looked up so (transitions without an event, timers, actors, actions that raise events) is
 *    refused when its table is made.
 */
import {
  type AnyStateMachine,
  type ContextFrom,
  createMachine,
  initialTransition,
  matchesState,
  type SnapshotFrom,
  type StateValue,
  type StateValueFrom,
  type TagsFrom,
  transition,
} from 'xstate';
import { assert } from '../kernel/assert.ts';

/** A state of a statechart with its context, as XState's snapshot has them. Never changed in place. */
interface ChartState<Value, Context, Tag, Partial> {
  readonly value: Value;
  readonly context: Context;
  readonly tags: ReadonlySet<Tag>;
  readonly hasTag: (tag: Tag) => boolean;
  readonly matches: (partial: Partial) => boolean;
}

export type StateOf<Machine extends AnyStateMachine> = ChartState<
  SnapshotFrom<Machine>['value'],
  ContextFrom<Machine>,
  TagsFrom<Machine>,
  StateValueFrom<Machine>
>;

/** An action of the chart's that is no assignment, with what its parameters came to. */
export interface NamedAction {
  readonly type: string;
  readonly params: unknown;
}

export interface StepTable<Machine extends AnyStateMachine> {
  /** Before the first event. */
  readonly initial: StateOf<Machine>;
  /** The state with that value and context. */
  stateOf(value: SnapshotFrom<Machine>['value'], context: ContextFrom<Machine>): StateOf<Machine>;
  /** What `transition` gives; undefined where `can` says no. */
  take(
    state: StateOf<Machine>,
    event: { readonly type: string },
  ): { readonly state: StateOf<Machine>; readonly actions: readonly NamedAction[] } | undefined;
}

/** What guards, assignments and parameters are called with. */
interface Scope {
  readonly context: object;
  readonly event: object;
}
type Called = (scope: Scope, params: unknown) => unknown;

/** Parameters that are a function of context and event: carried through the rehearsal uncalled. */
class Deferred {
  readonly of: Called;
  constructor(of: Called) {
    this.of = of;
  }
}

/** A named guard or action with its parameters. */
interface Use {
  readonly type: string;
  readonly params: unknown;
}

type Tree =
  | { readonly kind: 'refused' }
  | { readonly kind: 'taken'; readonly to: Configuration; readonly actions: readonly Use[] }
  | { readonly kind: 'guard'; readonly guard: Use; readonly yes: Tree; readonly no: Tree };

/** What states with the same value share. */
interface Configuration {
  readonly value: StateValue;
  readonly tags: ReadonlySet<string>;
  /** By type of event. */
  readonly steps: Map<string, Tree>;
}

class TableState {
  readonly configuration: Configuration;
  readonly context: object;

  constructor(configuration: Configuration, context: object) {
    this.configuration = configuration;
    this.context = context;
  }

  get value(): StateValue {
    return this.configuration.value;
  }

  get tags(): ReadonlySet<string> {
    return this.configuration.tags;
  }

  hasTag(tag: string): boolean {
    return this.configuration.tags.has(tag);
  }

  matches(partial: StateValue): boolean {
    return matchesState(partial, this.configuration.value);
  }
}

export const stepTable = <Machine extends AnyStateMachine>(machine: Machine): StepTable<Machine> => {
  const rehearsal = new Rehearsal(machine);
  const [initial] = initialTransition<AnyStateMachine>(machine, undefined);
  const stateOf = (value: StateValue, context: object) =>
    new TableState(rehearsal.configuration(value), context);
  const take = (state: TableState, event: { readonly type: string }) => {
    let tree = rehearsal.step(state.configuration, event.type);
    const scope = { context: state.context, event };
    while (tree.kind === 'guard') tree = asks(machine, tree.guard, scope) ? tree.yes : tree.no;
    return tree.kind === 'refused' ? undefined : carriedOut(machine, tree, scope);
  };
  const table = { initial: stateOf(initial.value, initial.context), stateOf, take };
  return table as unknown as StepTable<Machine>; // the machine's types of value, context and tag, which only XState can name
};

const resolved = (params: unknown, scope: Scope): unknown =>
  params instanceof Deferred ? params.of(scope, undefined) : params;

const asks = (machine: AnyStateMachine, { type, params }: Use, scope: Scope): boolean =>
  (machine.implementations.guards[type] as Called)(scope, resolved(params, scope)) === true; // guards are functions: checked when the table is made

/** Upholds 2. */
const carriedOut = (
  machine: AnyStateMachine,
  { to, actions }: Extract<Tree, { kind: 'taken' }>,
  { context, event }: Scope,
) => {
  let present = context;
  const named: NamedAction[] = [];
  for (const { type, params } of actions) {
    const scope = { context: present, event };
    const values = resolved(params, scope);
    const assignment = assignmentOf(machine, type);
    if (assignment === undefined) named.push({ type, params: values });
    else present = { ...present, ...assigned(assignment, scope, values) };
  }
  return { state: new TableState(to, present), actions: named };
};

const assigned = (assignment: object, scope: Scope, params: unknown): object =>
  typeof assignment === 'function'
    ? (assignment(scope, params) as object) // what `assign` takes gives a part of the context
    : Object.fromEntries(
        Object.entries(assignment).map(([key, value]: [string, unknown]) => [
          key,
          typeof value === 'function' ? value(scope, params) : value,
        ]),
      );

const assignmentOf = (machine: AnyStateMachine, type: string): object | undefined => {
  const action: unknown = machine.implementations.actions[type];
  return typeof action === 'function' && 'assignment' in action ? (action.assignment as object) : undefined; // as `assign` makes it
};

/** The chart to ask, and what it has answered. */
class Rehearsal {
  readonly #machine: AnyStateMachine;
  readonly #configurations = new Map<string, Configuration>();
  #answers: readonly boolean[] = [];
  #asked: Use[] = [];

  constructor(machine: AnyStateMachine) {
    const { actions, guards } = machine.implementations;
    for (const [name, guard] of Object.entries(guards))
      assert(typeof guard === 'function' && !('check' in guard), `guard ${name} is a plain function`);
    for (const [name, action] of Object.entries(actions))
      assert(
        typeof action === 'function' && (!('resolve' in action) || 'assignment' in action),
        `action ${name} is an assignment or data`,
      );
    const silent = Object.fromEntries(Object.keys(actions).map((name) => [name, () => undefined]));
    const told = Object.fromEntries(
      Object.keys(guards).map((type) => [
        type,
        (_: unknown, params: unknown) => this.#answer({ type, params }),
      ]),
    );
    const config = { ...(rehearsed(machine.config, '') as object), context: {} };
    this.#machine = createMachine(config as never, { actions: silent, guards: told } as never); // names and types are those of `machine`
  }

  configuration(value: StateValue): Configuration {
    const key = JSON.stringify(value);
    let configuration = this.#configurations.get(key);
    if (configuration === undefined) {
      const at = this.#machine.resolveState({ value, context: {} });
      configuration = { value: at.value, tags: at.tags, steps: new Map() };
      this.#configurations.set(key, configuration);
    }
    return configuration;
  }

  step(configuration: Configuration, type: string): Tree {
    let tree = configuration.steps.get(type);
    if (tree === undefined) {
      tree = this.#grow(configuration, type, []);
      configuration.steps.set(type, tree);
    }
    return tree;
  }

  /** Upholds 1: what is left to ask when the guards so far have answered so. */
  #grow(configuration: Configuration, type: string, answers: readonly boolean[]): Tree {
    this.#answers = answers;
    this.#asked = [];
    const at = this.#machine.resolveState({ value: configuration.value, context: {} });
    const taken = at.can({ type });
    const [next, actions] = transition(this.#machine, at, { type });
    const guard = this.#asked[answers.length];
    if (guard !== undefined) {
      const yes = this.#grow(configuration, type, [...answers, true]);
      return { kind: 'guard', guard, yes, no: this.#grow(configuration, type, [...answers, false]) };
    }
    if (!taken) return { kind: 'refused' };
    const uses = actions.map(({ type, params }): Use => ({ type, params }));
    return { kind: 'taken', to: this.configuration(next.value), actions: uses };
  }

  /** The same guard with the same parameters answers the same; one that has not been told anything says no. */
  #answer(use: Use): boolean {
    const before = this.#asked.findIndex((asked) => isSame(asked, use));
    return this.#answers[before === -1 ? this.#asked.push(use) - 1 : before] ?? false;
  }
}

const isSame = (a: Use, b: Use): boolean =>
  a.type === b.type &&
  (a.params instanceof Deferred || b.params instanceof Deferred
    ? a.params === b.params
    : JSON.stringify(a.params) === JSON.stringify(b.params));

const refusedKeys: readonly string[] = ['always', 'after', 'invoke', 'onDone', 'history', 'output'];

/** A definition with nothing in it that would be called. Upholds 3. */
const rehearsed = (part: unknown, key: string): unknown => {
  assert(!refusedKeys.includes(key), `a statechart with "${key}" has no table of its steps`);
  if (typeof part === 'function') {
    assert(key === 'params' || key === 'context', `what a statechart calls has a name, but not in "${key}"`);
    return new Deferred(part as Called);
  }
  if (typeof part !== 'object' || part === null) return part;
  if (Array.isArray(part)) return part.map((item: unknown) => rehearsed(item, key));
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, rehearsed(inner, name)]));
};
