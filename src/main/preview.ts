import { pathToFileURL } from 'node:url';
import type { PreviewFinding, PreviewSummary } from '../cli/server-commands.ts';
import { type AnyAggregate, aggregateOf } from '../commands/aggregates.ts';
import type { EventLog } from '../commands/event-store.ts';
import { streamEvents } from '../commands/stream-events.ts';
import { fingerprintOf } from '../commands/stream-states.ts';
import { BrokenInvariant } from '../kernel/assert.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxStream } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import { jsonChanges } from '../kernel/json-changes.ts';
import type { LiveBox } from '../store/history-rows.ts';
import type { Store } from '../store/store.ts';

/**
 * Folds every live box by a statechart beside what is stored of it, and reports each that would be another: its view, what
 * its statechart keeps, or that its history could not be folded at all. Changes nothing.
 */
export const previewBoxes = async (
  store: Pick<Store, 'log' | 'liveBoxes'>,
  aggregate: AnyAggregate,
  report: (finding: PreviewFinding) => Promise<void>,
  signal: AbortSignal,
): Promise<PreviewSummary> => {
  let [boxes, differing, otherChart] = [0, 0, 0];
  for await (const box of store.liveBoxes()) {
    signal.throwIfAborted();
    boxes += 1;
    if (box.head?.fingerprint !== fingerprintOf(aggregate)) otherChart += 1;
    const finding = await compare(store.log, aggregate, box);
    if (finding === undefined) continue;
    differing += 1;
    await report(finding);
  }
  return { boxes, differing, otherChart };
};

const compare = async (
  log: EventLog,
  aggregate: AnyAggregate,
  { boxId, name, version, view, head }: LiveBox,
): Promise<PreviewFinding | undefined> => {
  const found = { boxId, name, version };
  let state: unknown;
  try {
    for await (const event of streamEvents(log, boxStream(boxId), { upTo: version }))
      state = aggregate.evolve(state, event);
  } catch (error) {
    return { ...found, kind: 'unfoldable', problem: problemOf(error) };
  }
  const folded = {
    view: asJson(aggregate.view(state)),
    ...(head === undefined ? {} : { statechart: asJson(aggregate.persist(state)) }),
  };
  const stored = { view, ...(head === undefined ? {} : { statechart: head.snapshot }) };
  const changes = jsonChanges(stored, folded);
  return changes.length === 0 ? undefined : { ...found, kind: 'differs', changes };
};

/** What a fold may meet; anything else is a fault of ours, or of the database. */
const problemOf = (error: unknown): string => {
  const isOfFold =
    error instanceof BrokenInvariant || (error instanceof BoxledgerError && error.code === 'Internal');
  if (isOfFold) return error.message;
  throw error;
};

/** As it would come back from the database: without fields that hold `undefined`. */
const asJson = (value: unknown): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

/** The statechart of boxes to preview: this program's, or what a module exports as `boxAggregate`. */
export const boxAggregateOf = async (file: string | undefined): Promise<AnyAggregate> => {
  if (file === undefined) return aggregateOf('box');
  const fault = (problem: string, cause?: unknown) =>
    new BoxledgerError('InvalidArgument', `--machine: ${file} ${problem}`, {
      help: 'Give a JavaScript module that exports `boxAggregate`, as src/machines/box/box-aggregate.ts does.',
      cause,
    });
  const module: unknown = await import(pathToFileURL(file).href).catch((cause: unknown) => {
    throw fault(`cannot be loaded (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  });
  const given: unknown =
    typeof module === 'object' && module !== null ? Reflect.get(module, 'boxAggregate') : undefined;
  if (!isAggregate(given)) throw fault('exports no boxAggregate');
  return given;
};

const isAggregate = (given: unknown): given is AnyAggregate =>
  typeof given === 'object' &&
  given !== null &&
  'definition' in given &&
  typeof given.definition === 'string' &&
  ['evolve', 'persist', 'view'].every((name) => typeof Reflect.get(given, name) === 'function');
