import type { BoxRecord } from '../commands/event-store.ts';
import type { BoxEventType } from '../events/box-events.ts';
import type { BoxStateName, BoxView } from '../events/box-view.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { Failure } from '../events/failure.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ApiDeps } from './api-deps.ts';
import { type AcceptedForBox, boxById } from './box-access.ts';
import type { CallScope } from './call-scope.ts';

/** What a caller can wait for after a command. */
export type Change = 'start' | 'stop' | 'restart' | 'pause' | 'resume' | 'remove' | DiskChange;
export type DiskChange = 'snapshot' | 'snapshotRemoval' | 'restore' | 'clone' | 'export';

type Endings = Partial<Record<BoxEventType, 'done' | 'failed' | 'overtaken'>>;

/** What a box may meet while something is done to it; at rest, a removal by force. */
const overtakesAny: Endings = {
  'box.removeRequested': 'overtaken',
  'box.stopRequested': 'overtaken',
  'box.exited': 'overtaken',
  'box.lost': 'overtaken',
};

/** The events that end each change, and how: come about, failed, or overtaken by something else. */
const endings: Record<Change, Endings> = {
  start: {
    'box.started': 'done',
    'box.startFailed': 'failed',
    'box.stopRequested': 'overtaken',
    'box.removeRequested': 'overtaken',
    'box.lost': 'overtaken',
  },
  restart: {
    'box.started': 'done',
    'box.startFailed': 'failed',
    'box.stopRequested': 'overtaken',
    'box.removeRequested': 'overtaken',
    'box.lost': 'overtaken',
  },
  stop: { 'box.stopped': 'done', 'box.exited': 'done', 'box.lost': 'overtaken', 'box.removed': 'done' },
  pause: { 'box.paused': 'done', 'box.pauseFailed': 'failed', ...overtakesAny },
  resume: { 'box.resumed': 'done', 'box.resumeFailed': 'failed', ...overtakesAny },
  remove: { 'box.removed': 'done', 'box.lost': 'overtaken' },
  snapshot: { 'box.snapshotCreated': 'done', 'box.snapshotFailed': 'failed', ...overtakesAny },
  snapshotRemoval: {
    'box.snapshotRemoved': 'done',
    'box.snapshotRemovalFailed': 'failed',
    ...overtakesAny,
  },
  restore: { 'box.restored': 'done', 'box.restoreFailed': 'failed', ...overtakesAny },
  clone: { 'box.cloned': 'done', 'box.cloneFailed': 'failed', ...overtakesAny },
  export: { 'box.exported': 'done', 'box.exportFailed': 'failed', ...overtakesAny },
};

/** States that the box itself, or an effect, moves on from. */
const betweenStates: ReadonlySet<BoxStateName> = new Set([
  'starting',
  'pausing',
  'resuming',
  'stopping',
  'removing',
]);

const readAtOnce = 256;

/**
 * The box once what the command asked for has come about. Told by the first event after the answer that ends the change,
 * so that a box which has gone on to something else meanwhile is not mistaken. Throws the failure with its own code and
 * details, `InvalidState` when something else came first, and `DeadlineExceeded` with the box's state; the command stays
 * recorded.
 */
export const outcomeOf = async (
  deps: ApiDeps,
  change: Change,
  answer: AcceptedForBox,
  patience: Patience,
): Promise<BoxRecord> => {
  const { view } = answer;
  const underWay = betweenStates.has(view.state) || (view.state === 'lost' && answer.kind === 'accepted');
  if (underWay) await endingOf(deps, change, answer, patience);
  return boxById(deps, view.tenant, view.boxId);
};

/** How long is waited. */
export type Patience = Pick<CallScope, 'waitSignal'>;

/** The event by which what the command asked for has come about; throws as above. Of a command that was accepted. */
export const endingOf = async (
  deps: ApiDeps,
  change: Change,
  answer: AcceptedForBox,
  patience: Patience,
): Promise<RecordedEvent> => {
  const { view } = answer;
  const ended = () => endOf(deps, change, answer);
  const end = await withStateAtDeadline(deps, view, patience, () =>
    deps.feed.untilBox(view.boxId, ended, patience.waitSignal),
  );
  if (end.how !== 'done') throw unsuccessful(change, view, end);
  return end.event;
};

interface End {
  readonly how: 'done' | 'failed' | 'overtaken';
  readonly event: RecordedEvent;
}

const endOf = async (deps: ApiDeps, change: Change, answer: AcceptedForBox): Promise<End | undefined> => {
  const endsIt: Readonly<Partial<Record<string, End['how']>>> = endings[change];
  for await (const event of eventsAfter(deps, answer)) {
    const how = endsIt[event.type];
    if (how !== undefined) return { how, event };
  }
  return undefined;
};

async function* eventsAfter(
  deps: ApiDeps,
  { streamId, version }: AcceptedForBox,
): AsyncGenerator<RecordedEvent> {
  for (let after = version; ; ) {
    const page = await deps.log.readStream(streamId, after, readAtOnce);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < readAtOnce) return;
    after = last.version;
  }
}

const unsuccessful = (change: Change, { boxId, name }: BoxView, { how, event }: End): BoxledgerError => {
  const failure: Failure | undefined = 'failure' in event.data ? event.data.failure : undefined;
  return how === 'failed' && failure !== undefined
    ? new BoxledgerError(failure.code, failure.message, { details: { ...failure.details, boxId, name } })
    : new BoxledgerError(
        'InvalidState',
        `The ${changeText(change)} of box ${name} was overtaken by ${event.type}.`,
        {
          help: "The box's events say by whom and why.",
          details: { boxId, name, event: event.type },
        },
      );
};

const changeText = (change: Change) => (change === 'snapshotRemoval' ? 'removal of a snapshot' : change);

/** Runs `wait`, and says what the box's state is when the time for it is over. */
export const withStateAtDeadline = async <Result>(
  deps: ApiDeps,
  { tenant, boxId }: BoxView,
  { waitSignal }: Patience,
  wait: () => Promise<Result>,
): Promise<Result> => {
  try {
    return await wait();
  } catch (error) {
    if (error !== waitSignal.reason || !(error instanceof BoxledgerError)) throw error;
    if (error.code !== 'DeadlineExceeded') throw error;
    const { name, view, version } = await boxById(deps, tenant, boxId);
    throw new BoxledgerError('DeadlineExceeded', `The time is over, and box ${name} is ${view.state}.`, {
      help: 'What was asked stays asked; wait for the box again, with a later deadline.',
      details: { boxId, name, state: view.state, version: Number(version) },
    });
  }
};
